/** T10: answers that may pass, and how long a registry asks to be left alone. */
import { cut, respond } from '../../../support/hostile-registry.ts'
import type { Behaviour } from '../../../support/registry/recorded.ts'
import type { Case } from '../case.ts'
import { ANY, CONTENT, demandTokens, GET_BLOB, giveTokens, MANIFEST } from '../answers.ts'
import { askedMoreThan, askedWithin } from '../checks.ts'
import { genuine, put } from '../images.ts'
import type { Stage } from '../stage.ts'

const WINDOW_MS = 2000

/** Once the trouble, then the image. */
function passing(id: string, title: string, trouble: Behaviour, more: Partial<Case> = {}): Case {
  return {
    id,
    title,
    ask: 'resolve',
    expected: 'right',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.times(1, MANIFEST, trouble)
    },
    ...more,
  }
}

const early = ({ registry }: Stage) => askedWithin(registry, WINDOW_MS, MANIFEST)

export const PATIENCE_CASES: readonly Case[] = [
  passing('T10-seconds', 'Retry-After in seconds is waited for', respond(429, { 'retry-after': '2' }), {
    forbidden: early,
  }),
  passing('T10-date', 'Retry-After as a date is waited for', retryAfterDate(4000), {
    // A date has whole seconds.
    forbidden: ({ registry }) => askedWithin(registry, 2900, MANIFEST),
  }),
  passing('T10-unavailable', 'Retry-After of a 503 is waited for', respond(503, { 'retry-after': '2' }), {
    forbidden: early,
  }),
  passing('T10-blob', 'Retry-After of a layer is waited for', respond(200), {
    ask: 'pull',
    serve: (stage) => {
      put(stage.registry, genuine)
      stage.registry.times(1, GET_BLOB, respond(429, { 'retry-after': '2' }))
    },
    forbidden: ({ registry }) => askedSameWithin(registry, WINDOW_MS),
  }),
  passing('T10-token', 'Retry-After of the token server is waited for', respond(200), {
    serve: (stage) => {
      put(stage.registry, genuine)
      demandTokens(stage.registry, giveTokens(stage.registry))
      stage.registry.times(1, / \/token$/, respond(429, { 'retry-after': '2' }))
    },
    forbidden: ({ registry }) => askedWithin(registry, WINDOW_MS, / \/token$/),
    expected: 'either',
  }),
  passing('T10-no-header', 'a 429 that says no time passes', respond(429)),
  passing(
    'T10-garbage',
    'a Retry-After that is no time does no harm',
    respond(429, { 'retry-after': 'soon' }),
  ),
  passing('T10-negative', 'a negative Retry-After does no harm', respond(429, { 'retry-after': '-5' })),
  ...[408, 499, 500, 502, 503, 504, 522].map((status) =>
    passing(`T10-${status}`, `a ${status} is asked again`, respond(status)),
  ),
  passing('T10-reset', 'a cut connection is asked again', cut),
  {
    id: 'T10-far',
    title: 'a Retry-After of a day is told to the user, not waited for and not ignored',
    ask: 'resolve',
    expected: 'refused',
    serve: ({ registry }) => registry.on(CONTENT, respond(429, { 'retry-after': '86400' })),
    forbidden: ({ registry }) => askedMoreThan(registry, 1, CONTENT),
  },
  {
    id: 'T10-for-ever',
    title: 'a registry that always says 429 is given up after few requests',
    ask: 'resolve',
    expected: 'refused',
    serve: ({ registry }) => registry.on(CONTENT, respond(429)),
    forbidden: ({ registry }) => askedMoreThan(registry, 12),
  },
  {
    id: 'T10-down',
    title: 'a registry that always says 500 is given up after few requests',
    ask: 'resolve',
    expected: 'refused',
    serve: ({ registry }) => registry.on(ANY, respond(500)),
    forbidden: ({ registry }) => askedMoreThan(registry, 12),
  },
]

function retryAfterDate(ms: number): Behaviour {
  return (request, response) =>
    respond(429, { 'retry-after': new Date(Date.now() + ms).toUTCString() })(request, response)
}

/** The blob that was refused, asked for again; others may be asked for at the same time. */
function askedSameWithin(registry: Stage['registry'], waitMs: number): string | undefined {
  const [first] = registry.requests.filter(({ method, path }) => GET_BLOB.test(`${method} ${path}`))
  return first === undefined ? undefined : askedWithin(registry, waitMs, new RegExp(`^GET ${first.path}$`))
}
