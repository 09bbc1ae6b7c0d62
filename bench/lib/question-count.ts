/** How many requests questions take: first, at rest, by many at once, over a simulated day. */
import { parseReference } from '../../src/image/reference.ts'
import type { ImageSource } from '../../src/image/source.ts'
import { ANONYMOUS } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import { put, genuine } from '../../test/conformance/registry/images.ts'
import { startHostileRegistry } from '../../test/support/hostile-registry.ts'
import type { HostileRegistry } from '../../test/support/hostile-registry.ts'
import { VirtualTime } from './virtual-time.ts'

export interface QuestionCounts {
  /** With a token server that nobody has been at before. */
  readonly firstWithToken: number
  readonly laterWithToken: number
  /** A hundred resources with one tag, all at once. */
  readonly hundredAtOnce: number
  /** One tag watched every hour for a day. */
  readonly dayHeads: number
  readonly dayGets: number
}

const { signal } = new AbortController()

export async function countQuestions(): Promise<QuestionCounts> {
  const closed = await startHostileRegistry()
  const open = await startHostileRegistry()
  put(closed, genuine)
  put(open, genuine)
  closed.demandToken()
  const time = new VirtualTime()
  const session = new RegistrySession({ effects: { env: {}, now: time.now } })
  try {
    const firstWithToken = await requestsOf(closed, [sourceOf(closed, session)])
    time.advance(1000)
    const laterWithToken = await requestsOf(closed, [sourceOf(closed, session)])
    const crowd = Array.from({ length: 100 }, () => sourceOf(open, session))
    const hundredAtOnce = await requestsOf(open, crowd)
    open.requests.length = 0
    for (let hour = 0; hour < 24; hour += 1) {
      time.advance(3_600_000)
      await sourceOf(open, session).head(signal)
    }
    const methods = open.requests.map(({ method }) => method)
    const dayHeads = methods.filter((method) => method === 'HEAD').length
    return { firstWithToken, laterWithToken, hundredAtOnce, dayHeads, dayGets: methods.length - dayHeads }
  } finally {
    session.close()
    await Promise.all([closed.stop(), open.stop()])
  }
}

async function requestsOf(registry: HostileRegistry, sources: readonly ImageSource[]): Promise<number> {
  const before = registry.requests.length
  await Promise.all(sources.map((source) => source.head(signal)))
  return registry.requests.length - before
}

function sourceOf({ host }: HostileRegistry, session: RegistrySession): ImageSource {
  return openSource(parseReference(`${host}/team/app:1`), {
    baseDir: '/',
    registries: {},
    keychain: ANONYMOUS,
    session,
  })
}
