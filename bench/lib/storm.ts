/** A registry that lets ten requests a minute through, or none for a minute, and two hundred tags to be found there. */
import { setTimeout as delay } from 'node:timers/promises'
import { ExpectedError } from '../../src/errors.ts'
import { parseReference } from '../../src/image/reference.ts'
import { ANONYMOUS } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import { genuine, put } from '../../test/conformance/registry/images.ts'
import { respond, startHostileRegistry } from '../../test/support/hostile-registry.ts'
import type { HostileRegistry } from '../../test/support/hostile-registry.ts'
import { run } from '../../scripts/lib/run.ts'
import { VirtualTime } from './virtual-time.ts'

export interface StormResult {
  readonly requests: number
  /** Sent although an answer had said when to come back. */
  readonly tooEarly: number
  /** Simulated for ours, real for others. */
  readonly minutes: number
  readonly found: number
}

const TAGS = 200
const A_MINUTE = 10
const MINUTE_MS = 60_000
/** What was on its way when the answer came is nobody's fault. */
const IN_FLIGHT_MS = 500

interface Storm {
  readonly registry: HostileRegistry
  readonly tooEarly: () => number
}

/** Ten requests a minute by this clock, 429 with Retry-After for the others. */
async function startStorm(now: () => number): Promise<Storm> {
  const registry = await startHostileRegistry()
  for (let n = 0; n < TAGS; n += 1) put(registry, genuine, `t${n}`)
  const start = now()
  let [minute, count, early, toldMs] = [-1, 0, 0, 0]
  registry.on(/manifests/, (request, response) => {
    const at = now() - start
    if (Math.floor(at / MINUTE_MS) !== minute) {
      minute = Math.floor(at / MINUTE_MS)
      count = 0
      toldMs = 0
    }
    count += 1
    if (count <= A_MINUTE) return false
    if (toldMs === 0) toldMs = performance.now()
    else if (performance.now() - toldMs > IN_FLIGHT_MS) early += 1
    const seconds = Math.ceil(((minute + 1) * MINUTE_MS - at) / 1000)
    return respond(429, { 'retry-after': String(seconds) })(request, response)
  })
  return { registry, tooEarly: () => early }
}

/** Every app asks until it has its digest; after a failure a controller comes back in half a minute. */
export async function ourStorm(): Promise<StormResult> {
  const time = new VirtualTime()
  const { registry, tooEarly } = await startStorm(time.now)
  const session = sessionIn(time)
  const start = time.now()
  await time.during(askAll(registry, session, time), () => registry.requests.length)
  session.close()
  await registry.stop()
  const minutes = (time.now() - start) / MINUTE_MS
  return { requests: registry.requests.length, tooEarly: tooEarly(), minutes, found: TAGS }
}

/** One pass over all tags, sixteen at a time. */
export async function craneStorm(crane: string): Promise<StormResult> {
  const { registry, tooEarly } = await startStorm(() => performance.now())
  const started = performance.now()
  const names = Array.from({ length: TAGS }, (_one, at) => `${registry.host}/team/app:t${at}\n`)
  const { stdout } = await run('xargs', ['-P16', '-n1', crane, 'digest'], {
    input: Buffer.from(names.join('')),
  })
  await registry.stop()
  return {
    requests: registry.requests.filter(({ path }) => path.includes('manifests')).length,
    tooEarly: tooEarly(),
    minutes: (performance.now() - started) / MINUTE_MS,
    found: stdout.split('\n').filter((line) => line.startsWith('sha256:')).length,
  }
}

export interface OutageResult {
  /** Requests that reached the registry while it answered nothing but 503. */
  readonly during: number
  /** Simulated seconds from its recovery until all tags were found. */
  readonly recoverySeconds: number
}

/** A minute of 503 without any hint. */
export async function ourOutage(): Promise<OutageResult> {
  const time = new VirtualTime()
  const registry = await startHostileRegistry()
  for (let n = 0; n < TAGS; n += 1) put(registry, genuine, `t${n}`)
  const end = time.now() + MINUTE_MS
  let during = 0
  registry.on(/manifests/, (request, response) => {
    if (time.now() >= end) return false
    during += 1
    return respond(503)(request, response)
  })
  const session = sessionIn(time)
  await time.during(askAll(registry, session, time), () => registry.requests.length)
  session.close()
  await registry.stop()
  return { during, recoverySeconds: (time.now() - end) / 1000 }
}

function sessionIn(time: VirtualTime): RegistrySession {
  return new RegistrySession({ effects: { env: {}, now: time.now, wait: time.wait } })
}

async function askAll(registry: HostileRegistry, session: RegistrySession, time: VirtualTime): Promise<void> {
  const tags = Array.from({ length: TAGS }, (_one, at) => `t${at}`)
  await Promise.all(tags.map((tag) => askUntilFound(`${registry.host}/team/app:${tag}`, session, time)))
}

async function askUntilFound(name: string, session: RegistrySession, time: VirtualTime): Promise<void> {
  const { signal } = new AbortController()
  const options = { baseDir: '/', registries: {}, keychain: ANONYMOUS, session }
  for (;;) {
    const source = openSource(parseReference(name), options)
    try {
      await source.head(signal)
      return
    } catch (error) {
      if (!(error instanceof ExpectedError) || error.reason !== 'RegistryUnavailable') throw error
      await time.wait(30_000)
      // The others that were woken are to be seen as activity.
      await delay(1)
    } finally {
      await source.close()
    }
  }
}
