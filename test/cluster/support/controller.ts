/** The controller as a process of this machine, against the test's cluster: what it says on stderr is kept for failures. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { controllerImage } from '../../../scripts/lib/controller-image.ts'
import { mustRun } from '../../../scripts/lib/run.ts'
import { freePort } from '../../support/free-ports.ts'
import { eventually } from '../../support/sandbox.ts'
import type { TestCluster } from '../bed/test-cluster.ts'

const ROOT = path.join(import.meta.dirname, '../../..')

export interface ControllerOptions {
  /** Namespaces to serve; a test serves only its own. None: all of a cluster that no other test uses. */
  readonly namespaces: readonly string[]
  readonly preflightImage: string
  readonly kubeconfig?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export class RunningController implements AsyncDisposable {
  readonly healthPort: number
  readonly #child: ChildProcess
  #log = ''

  constructor(child: ChildProcess, healthPort: number) {
    this.#child = child
    this.healthPort = healthPort
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text))
  }

  get log(): string {
    return this.#log
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Lines of JSON, as told so far. */
  lines(): readonly Record<string, unknown>[] {
    return this.#log
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  async ready(): Promise<void> {
    const url = `http://127.0.0.1:${this.healthPort}/readyz`
    await eventually(
      'the controller is ready',
      async () => {
        if (this.#child.exitCode !== null) throw new Error(`the controller ended: ${this.#log.slice(-2000)}`)
        return fetch(url).then(
          ({ ok }) => ok,
          () => false,
        )
      },
      60_000,
      () => this.#log.slice(-2000),
    )
  }

  /** The exit code; null when a signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.hasEnded) {
      const ended = once(this.#child, 'exit')
      this.#child.kill(signal)
      await ended
    }
    return this.#child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL')
  }
}

/** Starts one; with `await using` it is killed at the end. Resolves when its caches are in. */
export async function startController(
  cluster: Pick<TestCluster, 'adminKubeconfig'>,
  options: ControllerOptions,
): Promise<RunningController> {
  const port = await freePort()
  const args = [
    'src/main.ts',
    'controller',
    '--engine',
    'kubernetes',
    '--kubeconfig',
    options.kubeconfig ?? cluster.adminKubeconfig,
    ...(options.namespaces.length === 0 ? [] : ['--namespace', options.namespaces.join(',')]),
    '--preflight-image',
    options.preflightImage,
    '--health-address',
    `127.0.0.1:${port}`,
    '--log-level',
    'debug',
    ...(options.args ?? []),
  ]
  const node = path.join(ROOT, 'node_modules/.bin/node')
  const env = { ...process.env, ...options.env }
  const child = spawn(node, args, { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const controller = new RunningController(child, port)
  try {
    await controller.ready()
  } catch (error) {
    await controller.stop('SIGKILL')
    throw error
  }
  return controller
}

let pushed: Promise<string> | undefined

/** The project's own image in the bed's registry; preflight pods run it. */
export function preflightImage(cluster: TestCluster): Promise<string> {
  pushed ??= push(cluster)
  return pushed
}

async function push(cluster: TestCluster): Promise<string> {
  const { layout, tag } = await controllerImage()
  const host = cluster.bed?.registry.host ?? process.env['FAIRLEAD_TEST_REGISTRY'] ?? ''
  const reference = `${host}/fairlead/controller:${tag}`
  await mustRun('skopeo', [
    '--insecure-policy',
    'copy',
    '--quiet',
    '--dest-tls-verify=false',
    `oci:${layout}:${tag}`,
    `docker://${reference}`,
  ])
  return reference
}
