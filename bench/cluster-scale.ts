/**
 * The controller with 0, 1,000 and 10,000 resources: memory, cold convergence against a plain loop of the same writes,
 * a restart, a user's edit during a resync. Prints markdown tables. Root only (a mount namespace for the service
 * account's files). `npx node bench/cluster-scale.ts [--seed] [NUMBER…]`; with --seed a few apps converge and all others
 * are copied, so that only what follows is measured. FAIRLEAD_BENCH_SECONDS shortens the minute of memory.
 */
import { compiledMain } from './lib/compiled.ts'
import { AuditTail, countedWrites, writesOf, type Write } from './lib/audit-tail.ts'
import { NAMESPACES, startBenchCluster, type BenchCluster } from './lib/bench-cluster.ts'
import { BenchController } from './lib/bench-controller.ts'
import { clientNodeMemory } from './lib/client-node-memory.ts'
import { editsDuringResync, type EditTimes } from './lib/edits.ts'
import { memoryOver, type MemoryUse } from './lib/memory-use.ts'
import { seedApps } from './lib/seed-etcd.ts'
import { plainRate } from './lib/plain-writes.ts'

const SECONDS = Number(process.env['FAIRLEAD_BENCH_SECONDS'] ?? '60')
/** Of the plain loop: enough for a rate. */
const PLAIN_APPS = 1000
const QUIET_MS = 2000
/** The resource, its Deployment and its Service. */
const OBJECTS_EACH = 3

interface Cold {
  readonly seconds: number
  readonly writes: readonly Write[]
  readonly memory: MemoryUse
  readonly cpuSeconds: number
}

interface Restart {
  readonly readyMs: number
  /** Until every app was passed over. */
  readonly resyncMs: number
  readonly writes: number
  readonly memory: MemoryUse
}

interface Figures {
  readonly apps: number
  /** So many of them came about by the controller's own work. */
  readonly converged: number
  readonly cold: Cold
  readonly plainPerSecond: number
  readonly clientNode: MemoryUse
  readonly restart: Restart
  readonly edits: EditTimes | undefined
}

async function main(): Promise<void> {
  const seed = process.argv.includes('--seed')
  const sizes = process.argv
    .slice(2)
    .filter((arg) => arg !== '--seed')
    .map(Number)
  const program = compiledMain()
  const all: Figures[] = []
  for (const apps of sizes.length === 0 ? [0, 1000, 10_000] : sizes) {
    const figures = await measure(program, apps, seed ? Math.min(apps, NAMESPACES) : apps)
    all.push(figures)
    say(
      `${apps}: ${JSON.stringify({ ...figures, cold: { ...figures.cold, writes: figures.cold.writes.length } })}`,
    )
  }
  process.stdout.write(
    `${[memoryTable(all), ...all.filter(({ apps }) => apps > 0).map(workTable)].join('\n\n')}\n`,
  )
}

async function measure(program: string, apps: number, toConverge: number): Promise<Figures> {
  await using cluster = await startBenchCluster()
  say(`${apps}: creating`)
  await cluster.createApps(0, toConverge)
  const audit = new AuditTail(cluster.plane)
  audit.next()
  say(`${apps}: cold`)
  const cold = await coldRun(cluster, program, audit, toConverge)
  if (toConverge < apps) await seedApps(cluster.plane, NAMESPACES, apps)
  say(`${apps}: cold in ${cold.seconds.toFixed(1)} s, ${JSON.stringify([...countedWrites(cold.writes)])}`)
  const clientNode = await clientNodeMemory(cluster.plane, apps * OBJECTS_EACH, Math.min(SECONDS, 20))
  say(`${apps}: restart`)
  const restart = await restartRun(cluster, program, audit, apps)
  const edits = apps === 0 ? undefined : await editsDuringResync(cluster, audit, program)
  const isPlainToo = apps > 0 && toConverge === apps
  if (isPlainToo) say(`${apps}: plain loop`)
  const plainPerSecond = isPlainToo
    ? await plainRate(cluster, cold.writes, Math.min(apps, PLAIN_APPS), apps)
    : 0
  return { apps, converged: toConverge, cold, plainPerSecond, clientNode, restart, edits }
}

/** All resources are there, nothing else is. */
async function coldRun(cluster: BenchCluster, main: string, audit: AuditTail, apps: number): Promise<Cold> {
  await using controller = await BenchController.start(cluster.plane, { main, account: 'fairlead' })
  await controller.ready()
  await controller.converged(apps)
  await quiet(audit)
  const cpuSeconds = (await controller.metric('process_cpu_seconds_total')) ?? 0
  const memory = await memoryOver(controller.pid, SECONDS)
  await controller.stop()
  const writes = writesOf(collected.splice(0), controller.user)
  const first = Math.min(...writes.map(({ atMs }) => atMs))
  const last = Math.max(...writes.map(({ atMs }) => atMs))
  return { seconds: apps === 0 ? 0 : (last - first) / 1000, writes, memory, cpuSeconds }
}

const collected: Write[] = []

/** Until nobody has written for a while. */
async function quiet(audit: AuditTail): Promise<void> {
  let isQuiet = false
  while (!isQuiet) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    const writes = audit.next()
    collected.push(...writes)
    isQuiet = writes.every(({ what }) => what.startsWith('leases '))
  }
}

async function restartRun(
  cluster: BenchCluster,
  main: string,
  audit: AuditTail,
  apps: number,
): Promise<Restart> {
  audit.next()
  await using controller = await BenchController.start(cluster.plane, { main, account: 'fairlead' })
  const readyMs = await controller.ready()
  const passed = 'controller_runtime_reconcile_total{controller="containerapp",result="success"}'
  await controller.until('through', async () => ((await controller.metric(passed)) ?? 0) >= apps, 100)
  const resyncMs = Date.now() - controller.startedAtMs
  const memory = await memoryOver(controller.pid, SECONDS)
  await controller.stop()
  const writes = writesOf(audit.next(), controller.user)
  if (writes.length > 0) say(`restart wrote: ${JSON.stringify([...countedWrites(writes)])}`)
  return { readyMs, resyncMs, writes: writes.length, memory }
}

function memoryTable(all: readonly Figures[]): string {
  const mb = ({ rssMb, peakMb }: MemoryUse) => `${rssMb.toFixed(0)} | ${peakMb.toFixed(0)}`
  return [
    `Resident memory in MB, median over ${SECONDS} s after convergence, and the most that there ever was.`,
    '',
    '| Resources | after cold convergence | peak | after a restart | peak | client-node, same objects | peak |',
    '|---|---|---|---|---|---|---|',
    ...all.map(
      ({ apps, converged, cold, restart, clientNode }) =>
        `| ${apps.toLocaleString('en')} | ${converged < apps ? 'copied | copied' : mb(cold.memory)} | ${mb(restart.memory)} | ${mb(clientNode)} |`,
    ),
  ].join('\n')
}

function workTable({ apps, converged, cold, restart, plainPerSecond, edits }: Figures): string {
  const perSecond = cold.writes.length / cold.seconds
  const sorts = [...countedWrites(cold.writes)]
    .map(([what, count]) => `${what} ${(count / apps).toFixed(2)}`)
    .join(', ')
  const ofCold = [
    ['cold convergence, s', cold.seconds.toFixed(1)],
    ['controller CPU, s', cold.cpuSeconds.toFixed(1)],
    ['writes of a resource', `${(cold.writes.length / apps).toFixed(2)}: ${sorts}`],
    ['writes a second', perSecond.toFixed(0)],
    ['plain loop, writes a second', plainPerSecond.toFixed(0)],
    ['against the plain loop', (perSecond / plainPerSecond).toFixed(2)],
  ]
  const rows = [
    // Of a few apps only: no figures of this size.
    ...(converged < apps ? [] : ofCold),
    ['restart: ready, s', (restart.readyMs / 1000).toFixed(1)],
    ['restart: every resource looked at, s', (restart.resyncMs / 1000).toFixed(1)],
    ['restart: writes', String(restart.writes)],
    ['edits during a resync', edits === undefined ? '' : String(edits.count)],
    ['edit to the first write for it, ms, median', edits === undefined ? '' : edits.medianMs.toFixed(0)],
    ['edit to the first write for it, ms, slowest', edits === undefined ? '' : edits.slowestMs.toFixed(0)],
  ]
  return [
    `${apps.toLocaleString('en')} resources:`,
    '',
    '| | |',
    '|---|---|',
    ...rows.map(([a, b]) => `| ${a} | ${b} |`),
  ].join('\n')
}

function say(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`)
}

await main()
