/**
 * `up` of an image that is already here, until it runs, with `runc run` of the same bundle as the floor, and what the
 * controller keeps in memory. `npx node bench/up.ts [rounds]`, as root.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { busyboxImage } from '../test/support/busybox-image.ts'
import { writeLayout } from '../test/support/layout.ts'
import { compare, type Contestant, type Result } from './lib/compare.ts'

const ROOT = join(import.meta.dirname, '..')
const FAIRLEAD = join(ROOT, 'bin/fairlead')
const FLOOR = 'runc run -d (the floor)'

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 9)
  const work = mkdtempSync(join(tmpdir(), 'fairlead-bench-up-'))
  const env = { ...process.env, FAIRLEAD_STATE: join(work, 'state') }
  const manifest = join(work, 'app.json')
  await writeImage(work, manifest)
  const controller = await startController(env)
  try {
    fairlead(env, 'up', '-f', manifest)
    const memory = residentMiB(controller.pid ?? 0)
    fairlead(env, 'down', 'bench')
    fairlead(env, 'unpack', `oci:${work}/layout:latest`, join(work, 'bundle'), '--bundle')
    print(compareAll(work, manifest, env, rounds), memory, residentMiB(controller.pid ?? 0))
  } finally {
    fairlead(env, 'down', 'bench')
    controller.kill('SIGTERM')
    await once(controller, 'exit')
    rmSync(work, { recursive: true, force: true })
  }
}

async function writeImage(work: string, manifest: string): Promise<void> {
  await writeLayout(join(work, 'layout'), [
    { tag: 'latest', image: busyboxImage({ config: { Volumes: ['/data'] } }) },
  ])
  const resource = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { name: 'bench' },
    spec: { image: `oci:${work}/layout:latest`, terminationGracePeriodSeconds: 1 },
  }
  writeFileSync(manifest, JSON.stringify(resource))
}

async function startController(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(FAIRLEAD, ['controller', '--engine', 'local'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await once(child.stderr, 'data')
  child.stderr.resume()
  return child
}

function compareAll(
  work: string,
  manifest: string,
  env: NodeJS.ProcessEnv,
  rounds: number,
): readonly Result[] {
  const runc = `runc --root ${work}/runc`
  const floor: Contestant = {
    name: FLOOR,
    command: `${runc} run -d --bundle ${work}/bundle bench-floor >/dev/null 2>&1 </dev/null`,
    cleanUp: () => spawnSync('sh', ['-c', `${runc} delete --force bench-floor`]),
  }
  const down = () => fairlead(env, 'down', 'bench')
  const ours: Contestant = {
    name: 'fairlead up (warm image, controller running)',
    command: `FAIRLEAD_STATE=${env['FAIRLEAD_STATE'] ?? ''} ${FAIRLEAD} up -f ${manifest}`,
    cleanUp: down,
  }
  const help: Contestant = { name: 'fairlead --help (start of the program)', command: `${FAIRLEAD} --help` }
  return compare(
    [floor, help, ours],
    rounds,
    () => work,
    () => undefined,
  )
}

function print(results: readonly Result[], first: number, last: number): void {
  const base = results.find(({ name }) => name === FLOOR)?.medianSeconds ?? Number.NaN
  const rows = results.map(
    ({ name, medianSeconds }) =>
      `| ${name} | ${(medianSeconds * 1000).toFixed(0)} | ${(medianSeconds / base).toFixed(1)} |`,
  )
  console.log(['| | median ms | against runc run |', '|---|---|---|', ...rows].join('\n'))
  console.log(
    `\nThe controller's memory (RSS): ${first.toFixed(0)} MiB with one app running, ${last.toFixed(0)} MiB at the end.`,
  )
}

function fairlead(env: NodeJS.ProcessEnv, ...args: readonly string[]): void {
  const result = spawnSync(FAIRLEAD, args, { env, encoding: 'utf8' })
  if (result.status !== 0 && args[0] !== 'down')
    throw new Error(`fairlead ${args.join(' ')}: ${result.stderr}`)
}

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib ?? Number.NaN) / 1024
}

await main()
