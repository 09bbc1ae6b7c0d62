/** Drives runc or crun by their command line. The differences between the two live here and in `limits.ts`. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { ExpectedError, printable } from '../../errors.ts'
import type { HostFacts } from '../../bundle/types.ts'

export const RUNTIMES = ['runc', 'crun'] as const
export type RuntimeName = (typeof RUNTIMES)[number]

export interface Runtime {
  readonly name: RuntimeName
  /** Command and global options, for the supervisor's script and for `exec`. */
  readonly command: readonly string[]
  /**
   * crun refuses cgroup v1 and hybrid hosts: there it runs without its cgroup manager, and the supervisor keeps the
   * limits in v1 cgroups of its own.
   */
  readonly ownCgroups: boolean
}

export function runtimeFor(name: RuntimeName, runtimeDir: string, host: HostFacts): Runtime {
  const ownCgroups = name === 'crun' && host.cgroups !== 'v2'
  return {
    name,
    command: [name, '--root', join(runtimeDir, name), ...(ownCgroups ? ['--cgroup-manager=disabled'] : [])],
    ownCgroups,
  }
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a host command without a shell; output is bounded, failure is a value. */
export function run(command: readonly string[], timeoutMs = 30_000): Promise<CommandResult> {
  const [file, ...args] = command
  return new Promise((resolve, reject) => {
    execFile(file ?? '', args, { timeout: timeoutMs, maxBuffer: 4 << 20, encoding: 'utf8' }, (error, stdout, stderr) => {
      const code = (error as { code?: number | string } | null)?.code ?? 0
      if (code === 'ENOENT') {
        reject(
          new ExpectedError('RuntimeMissing', `${file ?? ''} is not installed or not in PATH; install it (on Debian: apt-get install ${file ?? ''})`, {
            retry: 'backoff',
          }),
        )
        return
      }
      resolve({ code: typeof code === 'number' ? (error?.killed === true ? 124 : code) : 1, stdout, stderr })
    })
  })
}

/** pid of the container's init while it lives; undefined when the runtime does not know it or it has stopped. */
export async function containerPid(runtime: Runtime, id: string): Promise<number | undefined> {
  const result = await run([...runtime.command, 'state', id])
  if (result.code !== 0) return undefined
  const state = JSON.parse(result.stdout) as { pid?: number; status?: string }
  return state.status === 'stopped' || state.pid === undefined || state.pid <= 0 ? undefined : state.pid
}

/** Sends a signal to the container's init, or with `all` to every process of it. A container already gone is fine. */
export async function killContainer(runtime: Runtime, id: string, signal: string, all = false): Promise<void> {
  await run([...runtime.command, 'kill', ...(all ? ['--all'] : []), id, signal])
}

/** Removes what the runtime remembers of a container, killing what is left of it. */
export async function deleteContainer(runtime: Runtime, id: string): Promise<void> {
  const result = await run([...runtime.command, 'delete', '--force', id])
  if (result.code !== 0 && !/does not exist|no such file/i.test(result.stderr)) {
    throw new ExpectedError('RuntimeFailed', `${runtime.name} cannot remove ${id}: ${printable(result.stderr.trim())}`, {
      retry: 'backoff',
    })
  }
}

/** First line of `runc --version`, for status and support. */
export async function runtimeVersion(name: RuntimeName): Promise<string> {
  const result = await run([name, '--version'])
  return printable(result.stdout.split('\n')[0] ?? '', 80)
}
