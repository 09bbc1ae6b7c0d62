/** A, second part: token servers that a registry names, and what must not be sent there (CVE-2026-33990 and its kin). */
import { respond } from '../../../support/hostile-registry.ts'
import { ANY, bearer, demandTokens, giveTokens, json, redirect } from '../answers.ts'
import { casesOf } from '../case.ts'
import type { Case } from '../case.ts'
import { genuine, put } from '../images.ts'
import { READERS, withPassword } from '../reader.ts'
import { scopeOf, unauthorized } from '../../../support/registry/tokens.ts'
import { FORBIDDEN_PLACES, reachedPrivate } from './places.ts'

const named = casesOf({
  ask: 'resolve',
  setup: withPassword,
  prelude: ({ registry }) => put(registry, genuine),
})

export const REALM_CASES: readonly Case[] = [
  named('A2-realm-foreign', 'a token server of another host gets no password', 'either', (stage) => {
    demandTokens(stage.registry, giveTokens(stage.other))
  }),
  named(
    'A2-realm-foreign-anonymous',
    'a token server of another host may be asked without a password',
    'right',
    (stage) => {
      demandTokens(stage.registry, giveTokens(stage.parties.auth))
    },
    { setup: () => ({}) },
  ),
  named('A2-realm-port', 'a token server on another port gets no password', 'either', (stage) => {
    demandTokens(stage.registry, giveTokens(stage.parties.registry5000))
  }),
  named(
    'A2-realm-suffix',
    'a token server whose name only begins alike gets no password',
    'either',
    (stage) => {
      const realm = giveTokens(stage.other)
      demandTokens(stage.registry, realm.replace('other.example', 'registry.example.other.example'))
    },
  ),
  named(
    'A2-realm-plain',
    'a token server without TLS is refused',
    'refused',
    (stage) => {
      demandTokens(stage.registry, giveTokens(stage.parties.registryPlain))
    },
    {
      forbidden: ({ parties }) =>
        parties.registryPlain.requests.length > 0 ? 'asked the token server without TLS' : undefined,
    },
  ),
  named('A2-realm-user', 'a token server with a user name in its address is refused', 'either', (stage) => {
    const realm = giveTokens(stage.other)
    demandTokens(stage.registry, realm.replace('https://', 'https://registry.example@'))
  }),
  ...['file:///etc/passwd', 'ftp://registry.example/token', '/token', 'registry.example/token', ''].map(
    (realm, at) =>
      named(
        `A2-realm-odd-${at + 1}`,
        `a token server at ${JSON.stringify(realm)} is refused`,
        'refused',
        (stage) => {
          demandTokens(stage.registry, realm)
        },
      ),
  ),
  named('A2-token-redirect', 'a redirect of the token server takes no password along', 'either', (stage) => {
    demandTokens(stage.registry, `${stage.registry.url}/token`)
    stage.registry.on(/ \/token$/, redirect(`${stage.other.url}/token`))
    giveTokens(stage.other)
  }),
  named(
    'A2-token-redirect-metadata',
    'a redirect of the token server to the metadata service is not followed',
    'refused',
    (stage) => {
      demandTokens(stage.registry, `${stage.registry.url}/token`)
      stage.registry.on(/ \/token$/, redirect('http://169.254.169.254/latest/meta-data/'))
    },
  ),
  ...FORBIDDEN_PLACES.map(({ word, title, host }) =>
    named(
      `A2-realm-${word}`,
      `a token server at ${title} is not asked`,
      'refused',
      (stage) => {
        demandTokens(stage.registry, `https://${host}/token`)
      },
      { forbidden: reachedPrivate, setup: () => ({}) },
    ),
  ),
  {
    id: 'A2-realm-in-private',
    title: 'a registry in a private network may have its token server there',
    ask: 'resolve',
    expected: 'right',
    reference: (stage) => stage.reference(':1', stage.parties.lan.host),
    serve: ({ parties }) => {
      put(parties.lan, genuine)
      demandTokens(parties.lan, giveTokens(parties.lanAuth))
    },
  },
  named('A2-same-host', 'a token server of the registry’s own host gets the password', 'right', (stage) => {
    demandTokens(stage.registry, giveTokens(stage.registry, { users: READERS }))
  }),
  named(
    'A2-second-challenge',
    'a second challenge after the first token sends no password elsewhere',
    'either',
    (stage) => {
      const own = giveTokens(stage.registry)
      const foreign = giveTokens(stage.other)
      stage.registry.on(ANY, (request, response) =>
        unauthorized(
          response,
          bearer(request.authorization === undefined ? own : foreign, scopeOf(request.path)),
        ),
      )
    },
  ),
  named('A2-token-error', 'a token server’s failure is told', 'refused', (stage) => {
    demandTokens(stage.registry, `${stage.registry.url}/token`)
    stage.registry.on(/ \/token$/, respond(403))
  }),
  named('A2-token-unavailable', 'a token server that fails once is asked again', 'right', (stage) => {
    const realm = giveTokens(stage.registry)
    demandTokens(stage.registry, realm)
    stage.registry.times(1, / \/token$/, json({}, 503))
  }),
]
