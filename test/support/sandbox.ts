/**
 * A private state folder with the real command line on it, as a user has them. Whatever a test leaves running is ended
 * by its id and removed: containers by the runtime, the controller by its pid.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isSameProcess } from '../../src/engine/local/process-facts.ts'
import { openLocal } from '../../src/engine/local/open.ts'
import { reap } from '../../src/engine/local/supervisor.ts'
import type { ControllerInfo } from '../../src/cli/run-controller.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { toYaml } from '../../src/crd/to-yaml.ts'

const ROOT = path.join(import.meta.dirname, '../..')

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface SandboxOptions {
  readonly runtime?: 'runc' | 'crun'
  /** Merged over the quick defaults of the tests. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** Numbers small enough for a test, with the same shape as the real ones. */
const QUICK_CONFIG = {
  backoff: { initial: '200ms', max: '2s', reset: '10m' },
  outdatedCheckInterval: '500ms',
}

export class Sandbox {
  readonly dir: string
  readonly state: string
  readonly runtime: 'runc' | 'crun'

  private constructor(dir: string, runtime: 'runc' | 'crun') {
    this.dir = dir
    this.state = path.join(dir, 'state')
    this.runtime = runtime
  }

  static async create(options: SandboxOptions = {}): Promise<Sandbox> {
    const dir = await mkdtemp(path.join(tmpdir(), 'fairlead-e2e-'))
    const sandbox = new Sandbox(dir, options.runtime ?? 'runc')
    await writeFile(
      sandbox.configFile,
      toYaml({ ...QUICK_CONFIG, runtime: sandbox.runtime, ...options.config }),
    )
    return sandbox
  }

  get configFile(): string {
    return path.join(this.dir, 'config.yaml')
  }

  get env(): Record<string, string> {
    return { FAIRLEAD_STATE: this.state, FAIRLEAD_CONFIG: this.configFile, NO_COLOR: '1' }
  }

  /** Runs `bin/fairlead` with these arguments; any exit code is a result. */
  cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return runProgram(path.join(ROOT, 'bin/fairlead'), args, {
      ...options,
      env: { ...this.env, ...options.env },
    })
  }

  /** The same, but anything else than exit code 0 fails the test with what was said. */
  async ok(args: readonly string[], options: CliOptions = {}): Promise<string> {
    const result = await this.cli(args, options)
    if (result.code !== 0) {
      throw new Error(
        `fairlead ${args.join(' ')} ended with ${result.code}\n${result.stdout}\n${result.stderr}\n${await this.controllerLog()}`,
      )
    }
    return result.stdout
  }

  /** Submits resources given as values and waits until they are ready. */
  up(resources: readonly unknown[], args: readonly string[] = []): Promise<CliResult> {
    return this.cli(['up', '-f', '-', ...args], { input: manifests(resources) })
  }

  async mustUp(resources: readonly unknown[], args: readonly string[] = []): Promise<void> {
    await this.ok(['up', '-f', '-', ...args], { input: manifests(resources) })
  }

  /** The status as the command line prints it; empty until the controller has written the first. */
  async status(name: string): Promise<AppStatus> {
    const resource = JSON.parse(await this.ok(['status', name, '-o', 'json'])) as { status?: AppStatus }
    return resource.status ?? {}
  }

  /** Host folder of a volume. */
  async volumeDir(name: string, volumePath: string, namespace = 'default'): Promise<string> {
    const found = (await openLocal({ stateDir: this.state }).volumes.list({ namespace, name })).find(
      ({ record }) => record.path === volumePath,
    )
    if (found === undefined) throw new Error(`no volume ${volumePath} of ${name}`)
    return found.dataDir
  }

  async controller(): Promise<ControllerInfo | undefined> {
    try {
      const info = JSON.parse(
        await readFile(path.join(this.state, 'controller.json'), 'utf8'),
      ) as ControllerInfo
      return isSameProcess(info) ? info : undefined
    } catch {
      return undefined
    }
  }

  async controllerLog(): Promise<string> {
    return readFile(path.join(this.state, 'controller.log'), 'utf8').catch(() => '')
  }

  /** Ends the controller; containers go on. */
  async stopController(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const info = await this.controller()
    if (info === undefined) return
    process.kill(info.pid, signal)
    await eventually('the controller has ended', () => !isSameProcess(info))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopController('SIGKILL')
    const local = openLocal({ stateDir: this.state })
    for (const id of await readdir(local.paths.instances).catch(() => [])) {
      const record = await local.instances.read(id).catch(() => undefined)
      if (record !== undefined) await reap(local.runtimeOf(record.runtime), record)
    }
    await eventually('the supervisors have ended', () => supervisorsGone(local.paths.instances))
    // A command that the controller had begun may write a last file while we remove.
    await rm(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

export function manifests(resources: readonly unknown[]): string {
  return resources.map((resource) => toYaml(resource)).join('---\n')
}

/** A resource with defaults that a test need not repeat. */
export function app(
  name: string,
  image: string,
  spec: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { name },
    spec: { image, terminationGracePeriodSeconds: 5, ...spec },
  }
}

export function runProgram(
  program: string,
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ code: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15), stdout, stderr }),
    )
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
  })
}

/** Asks again and again until the answer is yes; a deadline fails with what was waited for. Never a fixed sleep. */
export async function eventually(
  what: string,
  check: () => Promise<boolean> | boolean,
  timeoutMs = 60_000,
  seen: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await check())) {
    if (performance.now() > deadline)
      throw new Error(`waited ${timeoutMs / 1000} s in vain until ${what} ${seen()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function supervisorsGone(instances: string): Promise<boolean> {
  for (const id of await readdir(instances).catch(() => [])) {
    const runs = path.join(instances, id, 'runs')
    for (const run of await readdir(runs).catch(() => [])) {
      const text = await readFile(path.join(runs, run, 'supervisor'), 'utf8').catch(() => '')
      const [pid, startTicks, bootId] = text.trim().split(' ')
      if (
        pid !== undefined &&
        startTicks !== undefined &&
        bootId !== undefined &&
        isSameProcess({ pid: Number(pid), startTicks, bootId })
      )
        return false
    }
  }
  return true
}
