/**
 * Two controllers and one Lease, while a user edits all the time: how long nobody writes after the leader was killed
 * and after it was asked to end, and whether there ever were two writers. By the API server's audit log, in which each
 * controller has a name of its own. Prints a markdown table. `npx node bench/cluster-failover.ts [ROUNDS]`, root only.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { CONTAINER_APPS } from '../src/engine/kubernetes/resources.ts'
import { AuditTail, writesOf, type Write } from './lib/audit-tail.ts'
import { USER, appName, namespaceOf, startBenchCluster, type BenchCluster } from './lib/bench-cluster.ts'
import { BenchController } from './lib/bench-controller.ts'
import { compiledMain } from './lib/compiled.ts'

const APPS = 20
const EDIT_EVERY_MS = 100
const ACCOUNTS = ['fairlead-a', 'fairlead-b'] as const

interface Change {
  /** From the signal to the successor's first write. */
  readonly gapMs: number
  /** From the last write of the old leader to the first one of the new; below 0 they overlap. */
  readonly apartMs: number
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? '3')
  const program = compiledMain()
  await using cluster = await startBenchCluster()
  for (const account of ACCOUNTS) await cluster.addAccount(account)
  await cluster.createApps(0, APPS)
  const killed: Change[] = []
  const asked: Change[] = []
  let leader = await BenchController.start(cluster.plane, { main: program, account: ACCOUNTS[0] })
  await leader.ready()
  await leader.converged(APPS)
  using edits = editAllTheTime(cluster)
  const audit = new AuditTail(cluster.plane)
  for (let turn = 0; turn < 2 * rounds; turn += 1) {
    const account = ACCOUNTS[(turn + 1) % 2] ?? ACCOUNTS[0]
    const next = await BenchController.start(cluster.plane, { main: program, account })
    await next.ready()
    // The standby has to know the Lease as it is.
    await delay(3000)
    const [signal, list] = turn < rounds ? (['SIGKILL', killed] as const) : (['SIGTERM', asked] as const)
    list.push(await changeLeader(audit, leader, next, signal))
    process.stderr.write(`bench: ${signal} ${JSON.stringify(list.at(-1))}\n`)
    leader = next
  }
  await leader.stop()
  edits.stop()
  process.stdout.write(`${table(killed, asked)}\n`)
}

async function changeLeader(
  audit: AuditTail,
  leader: BenchController,
  next: BenchController,
  signal: 'SIGKILL' | 'SIGTERM',
): Promise<Change> {
  audit.next()
  const atMs = Date.now()
  const ended = leader.stop(signal)
  const writes: Write[] = []
  while (writesOf(writes, next.user).length === 0) {
    if (Date.now() - atMs > 60_000) throw new Error('nobody took over')
    await delay(100)
    writes.push(...audit.next())
  }
  await ended
  await delay(2000)
  writes.push(...audit.next())
  const first = Math.min(...writesOf(writes, next.user).map((write) => write.atMs))
  // Before the signal the log may have been read already; what counts is what came after.
  const last = Math.max(atMs, ...writesOf(writes, leader.user).map((write) => write.atMs))
  return { gapMs: first - atMs, apartMs: first - last }
}

function editAllTheTime({ client }: BenchCluster): Disposable & { readonly stop: () => void } {
  let n = 0
  const edit = () => {
    const at = n % APPS
    const patch = { spec: { replicas: 1 + (Math.floor(n / APPS) % 2) } }
    n += 1
    void client
      .mergePatch(CONTAINER_APPS, namespaceOf(at), appName(at), patch, { fieldManager: USER })
      .catch(() => undefined)
  }
  const timer = setInterval(edit, EDIT_EVERY_MS)
  const stop = () => clearInterval(timer)
  return { stop, [Symbol.dispose]: stop }
}

function table(killed: readonly Change[], asked: readonly Change[]): string {
  const row = (name: string, changes: readonly Change[]) => {
    const gaps = changes.map(({ gapMs }) => (gapMs / 1000).toFixed(1)).join(', ')
    const overlaps = changes.filter(({ apartMs }) => apartMs < 0).length
    return `| ${name} | ${gaps} | ${overlaps} |`
  }
  return [
    '| | until the other one writes, s | overlaps |',
    '|---|---|---|',
    row('leader killed (SIGKILL)', killed),
    row('leader asked to end (SIGTERM)', asked),
  ].join('\n')
}

await main()
