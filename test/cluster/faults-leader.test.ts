/**
 * Two controllers, one Lease: only one writes, the other takes over in time when the first is killed or asked to go, and
 * a leader that is cut off from the server writes nothing more.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hang } from '../support/fault-proxy.ts'
import { eventually } from '../support/sandbox.ts'
import type { AuditEvent } from './bed/audit.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'
import { isReady, SweepBed } from './support/sweep-bed.ts'

const ACCOUNTS = ['fairlead', 'second'] as const
const ELECT = ['--leader-elect']
/** Lease 15 s, and twice that on a busy machine; `bench/cluster-failover.ts` has the figure. */
const FAILOVER_MS = 30_000
/** A graceful leader gives its Lease back: less than a Lease lasts. */
const GRACEFUL_MS = 12_000

type Started = Awaited<ReturnType<SweepBed['startController']>>

describe.skipIf(await isControlPlaneMissing())('two controllers', () => {
  let bed: SweepBed
  let running: Started[] = []

  beforeAll(async () => {
    bed = await SweepBed.start()
    await bed.admit('second')
  })
  afterEach(async () => {
    bed.proxy.heal()
    await Promise.all(running.map((controller) => controller.stop('SIGKILL')))
    running = []
    await bed.plane.api.send(
      'DELETE',
      '/apis/coordination.k8s.io/v1/namespaces/fairlead-system/leases/fairlead-controller',
    )
  })
  afterAll(async () => {
    await bed?.[Symbol.asyncDispose]()
  })

  /** The leader first. */
  async function startBoth(): Promise<readonly [Started, Started]> {
    const [first, second] = [await start(ACCOUNTS[0]), await start(ACCOUNTS[1])]
    await eventually(
      'the first leads',
      () => leads(first),
      30_000,
      () => first.log.slice(-2000),
    )
    expect(leads(second)).toBe(false)
    return [first, second]
  }

  async function start(account: string): Promise<Started> {
    const controller = await bed.startController({ account, args: ELECT })
    running.push(controller)
    return controller
  }

  /** An app that both would work on. */
  async function runApp(controller: Started): Promise<string> {
    const namespace = await bed.namespace()
    await bed.submit(namespace, { image: 'registry.test/apps/app:1' })
    await eventually(
      'it runs',
      async () => isReady(await bed.app(namespace)),
      60_000,
      () => controller.log.slice(-2000),
    )
    return namespace
  }

  /** Writes by account, in the order in which the server took them. */
  async function writers(): Promise<readonly { readonly by: string; readonly atMs: number }[]> {
    return (await bed.plane.auditEvents())
      .filter(isObjectWrite)
      .map(({ user, requestReceivedTimestamp }) => ({
        by: user.username.split(':').at(-1) ?? '',
        atMs: Date.parse(requestReceivedTimestamp),
      }))
      .toSorted((a, b) => a.atMs - b.atMs)
  }

  test('only the leader writes, and kill -9 hands over within 17 s', async () => {
    const from = (await writers()).length
    const [first, second] = await startBoth()
    await runApp(first)
    expect(new Set((await writers()).slice(from).map(({ by }) => by))).toEqual(new Set([ACCOUNTS[0]]))
    const killedAt = performance.now()
    await first.stop('SIGKILL')
    await eventually(
      'the second leads',
      () => leads(second),
      30_000,
      () => second.log.slice(-2000),
    )
    expect(performance.now() - killedAt).toBeLessThan(FAILOVER_MS)
    await runApp(second)
    expectOneAfterTheOther((await writers()).slice(from))
  })

  test('a leader that is asked to go gives the Lease back', async () => {
    const from = (await writers()).length
    const [first, second] = await startBoth()
    await runApp(first)
    const askedAt = performance.now()
    const ended = first.stop('SIGTERM')
    await eventually(
      'the second leads',
      () => leads(second),
      30_000,
      () => second.log.slice(-2000),
    )
    expect(performance.now() - askedAt).toBeLessThan(GRACEFUL_MS)
    expect(await ended).toBe(0)
    await runApp(second)
    expectOneAfterTheOther((await writers()).slice(from))
  })

  test('a leader whose Lease can no longer be renewed stops before the other begins', async () => {
    const from = (await writers()).length
    const [first, second] = await startBoth()
    await runApp(first)
    bed.proxy.fault({ match: { identity: first.identity, path: '/leases' }, times: 1000, fault: hang() })
    await eventually(
      'the second leads',
      () => leads(second),
      40_000,
      () => second.log.slice(-2000),
    )
    const ledAt = Date.now()
    await eventually(
      'the first has ended',
      () => first.hasEnded,
      20_000,
      () => first.log.slice(-2000),
    )
    await runApp(second)
    const written = (await writers()).slice(from)
    expectOneAfterTheOther(written)
    expect(written.filter(({ by, atMs }) => by === ACCOUNTS[0] && atMs > ledAt)).toEqual([])
  })
})

function leads(controller: Started): boolean {
  return controller.lines().some(({ msg }) => msg === 'leads')
}

function isObjectWrite({ user, requestURI, objectRef }: AuditEvent): boolean {
  const isOurs = ACCOUNTS.some((account) => user.username.endsWith(`:fairlead-system:${account}`))
  return isOurs && objectRef?.resource !== 'leases' && !/dryRun=|selfsubject|tokenreviews/.test(requestURI)
}

/** From the first write of the second on the first never writes again. */
function expectOneAfterTheOther(written: readonly { readonly by: string }[]): void {
  const turns = written.map(({ by }) => by).filter((by, index, all) => by !== all[index - 1])
  expect(turns).toEqual([...ACCOUNTS])
}
