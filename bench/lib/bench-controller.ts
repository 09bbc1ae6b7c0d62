/** The compiled controller as in a pod: a service account's files, no kubeconfig, the arguments of manifests/. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { SYSTEM } from './bench-cluster.ts'
import { imageSettings } from './image-settings.ts'

export interface StartOptions {
  /** Path of the compiled `main.js`. */
  readonly main: string
  /** Service account of the controller's namespace. */
  readonly account: string
}

/** To try flags of Node or V8. */
const extraArgs = () => (process.env['FAIRLEAD_BENCH_NODE_ARGS'] ?? '').split(' ').filter((arg) => arg !== '')
const MAX_WAIT_MS = 1_800_000

export class BenchController implements AsyncDisposable {
  readonly pid: number
  /** As the audit log names it. */
  readonly user: string
  readonly startedAtMs = Date.now()
  readonly #child: ChildProcess
  readonly #health: number
  readonly #metrics: number

  private constructor(child: ChildProcess, user: string, [health, metrics]: readonly [number, number]) {
    this.#child = child
    this.pid = child.pid ?? 0
    this.user = user
    this.#health = health
    this.#metrics = metrics
  }

  static async start(plane: ControlPlane, { main, account }: StartOptions): Promise<BenchController> {
    const [health, metrics] = await freePorts('127.0.0.1', 2)
    const folder = await serviceAccountFolder(plane, account)
    const image = imageSettings()
    const own = [...image.nodeFlags, ...extraArgs(), main]
    const election = ['--leader-elect', `--leader-namespace=${SYSTEM}`]
    const addresses = [`--metrics-address=127.0.0.1:${metrics}`, `--health-address=127.0.0.1:${health}`]
    const preflight = '--preflight-image=registry.invalid/fairlead:1'
    const args = [...own, 'controller', '--engine=kubernetes', preflight, ...election, ...addresses]
    const { hostname, port } = new URL(plane.url)
    const env = {
      PATH: process.env['PATH'] ?? '',
      ...image.env,
      HOME: plane.root,
      POD_NAME: account,
      POD_NAMESPACE: SYSTEM,
      POD_SERVICE_ACCOUNT: account,
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
    }
    // A mount namespace of its own: only this process sees the files at the place where pods have them.
    const script =
      'c=/sys/fs/cgroup/memory; if [ -d $c ]; then mkdir -p $c/fairlead-bench && echo 512M > $c/fairlead-bench/memory.limit_in_bytes && echo $$ > $c/fairlead-bench/cgroup.procs; fi; f=$1; s=/run/secrets/kubernetes.io/serviceaccount; shift; mount -t tmpfs tmpfs /run && mkdir -p $s && cp "$f"/* $s/ && exec "$@"'
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', folder, process.execPath, ...args], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr?.pipe(createWriteStream(path.join(plane.root, `logs/${account}-${Date.now()}.log`)))
    return new BenchController(child, `system:serviceaccount:${SYSTEM}:${account}`, [health, metrics])
  }

  /** Milliseconds from the start of the process until `/readyz` says yes. */
  async ready(): Promise<number> {
    await this.until('ready', () => this.#ask(this.#health, '/readyz').then((text) => text !== undefined), 50)
    return Date.now() - this.startedAtMs
  }

  /** Value of a series; undefined where there is none. */
  async metric(series: string): Promise<number | undefined> {
    const text = (await this.#ask(this.#metrics, '/metrics')) ?? ''
    const line = text.split('\n').find((one) => one.startsWith(`${series} `))
    return line === undefined ? undefined : Number(line.slice(series.length + 1))
  }

  async leads(): Promise<boolean> {
    return (await this.metric('leader_election_master_status{name="fairlead-controller"}')) === 1
  }

  /** So many apps are ready. */
  async converged(apps: number): Promise<void> {
    await this.until(
      'converged',
      async () => (await this.metric('fairlead_apps{ready="True"}')) === apps,
      500,
    )
  }

  async until(what: string, condition: () => Promise<boolean>, everyMs: number): Promise<void> {
    const deadline = Date.now() + MAX_WAIT_MS
    while (!(await condition())) {
      if (this.#child.exitCode !== null) throw new Error(`the controller ended before it was ${what}`)
      if (Date.now() > deadline) throw new Error(`the controller was not ${what} in time`)
      await delay(everyMs)
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL')
  }

  /** Text of a good answer. */
  async #ask(port: number, place: string): Promise<string | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${place}`)
      return answer.ok ? await answer.text() : undefined
    } catch {
      return undefined
    }
  }
}

async function serviceAccountFolder(plane: ControlPlane, account: string): Promise<string> {
  const folder = path.join(plane.root, `account-${account}`)
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'token'), await plane.tokenFor(`${SYSTEM}/${account}`, 7200))
  await writeFile(path.join(folder, 'ca.crt'), plane.ca)
  await writeFile(path.join(folder, 'namespace'), SYSTEM)
  return folder
}
