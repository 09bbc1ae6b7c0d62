/** Drives runc or crun by their command line. The differences between the two live here and in `limits.ts`. */
import { execFile, type ExecFileException } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
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

/** As timeout(1) has it. */
const TIMED_OUT_EXIT_CODE = 124

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a host command without a shell; output is bounded, failure is a value. */
export function run(command: readonly string[], timeoutMs = 30_000): Promise<CommandResult> {
  const [file, ...args] = command
  return new Promise((resolve, reject) => {
    execFile(
      file ?? '',
      args,
      { timeout: timeoutMs, maxBuffer: 4 << 20, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } },
      (error, stdout, stderr) => {
        if ((error as NodeJS.ErrnoException | null)?.code === 'ENOENT') {
          reject(
            new ExpectedError(
              'RuntimeMissing',
              `${file ?? ''} is not installed or not in PATH; install it (on Debian: apt-get install ${file ?? ''})`,
              {
                retry: 'backoff',
              },
            ),
          )
          return
        }
        resolve({ code: exitCodeOf(error), stdout, stderr })
      },
    )
  })
}

/** 0 only for a command that ended well: one that a signal killed has no exit code, and has not done its work. */
function exitCodeOf(error: ExecFileException | null): number {
  if (error === null) return 0
  if (error.killed === true) return TIMED_OUT_EXIT_CODE
  if (typeof error.code === 'number') return error.code
  return error.signal === undefined || error.signal === null
    ? 1
    : 128 + (constants.signals[error.signal] ?? 0)
}

/** pid of the container's init while it lives; undefined when the runtime does not know it or it has stopped. */
export async function containerPid(runtime: Runtime, id: string): Promise<number | undefined> {
  const result = await run([...runtime.command, 'state', id])
  if (result.code !== 0) return undefined
  const state = JSON.parse(result.stdout) as { pid?: number; status?: string }
  return state.status === 'stopped' || state.pid === undefined || state.pid <= 0 ? undefined : state.pid
}

/**
 * Sends a signal to the container's init. SIGKILL takes every process with it, since init holds the pid namespace: no
 * `--all`, which crun can't do without a cgroup manager. A container already gone is fine.
 */
export async function killContainer(runtime: Runtime, id: string, signal: string): Promise<void> {
  await run([...runtime.command, 'kill', id, signal])
}

const GONE = /does not exist|no such file/i
/** What crun says where somebody else is removing the container at this moment, and has got half of it. */
const HALF_GONE = /error loading .*config\.json/i
const ATTEMPTS = 10
const PAUSE_MS = 50

/** Removes what the runtime remembers of a container, killing what is left of it. */
export async function deleteContainer(runtime: Runtime, id: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const result = await run([...runtime.command, 'delete', '--force', id])
    if (result.code === 0 || GONE.test(result.stderr)) return
    if (HALF_GONE.test(result.stderr) && attempt < ATTEMPTS) {
      await delay(PAUSE_MS)
      continue
    }
    throw new ExpectedError(
      'RuntimeFailed',
      `${runtime.name} cannot remove ${id}: ${printable(result.stderr.trim())}`,
      {
        retry: 'backoff',
      },
    )
  }
}

/** First line of `runc --version`, for status and support. */
export async function runtimeVersion(name: RuntimeName): Promise<string> {
  const result = await run([name, '--version'])
  return printable(result.stdout.split('\n')[0] ?? '', 80)
}
