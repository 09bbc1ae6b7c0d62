/** Runs a program that answers one question: words in, bounded words out, and never longer than its time. */
import { spawn } from 'node:child_process'
import { ExpectedError } from '../errors.ts'
import { collect } from './verified-stream.ts'

export interface ProgramRun {
  /** Found on PATH of `env` where it has no slash. Never goes through a shell, nor do `args`. */
  readonly program: string
  readonly args: readonly string[]
  /** All that the program gets: nothing of ours is added. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly input: string
  readonly maxOutputBytes: number
  readonly timeoutMs: number
}

export interface ProgramAnswer {
  /** Exit code; 1 also when a signal ended it. */
  readonly code: number
  readonly output: string
}

/** Throws what spawning throws, a TimeoutError, the signal's reason, or LimitExceeded for too much output. */
export async function runProgram(run: ProgramRun, signal: AbortSignal): Promise<ProgramAnswer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(run.timeoutMs)])
  limit.throwIfAborted()
  // A group of its own, so that what the program started ends with it.
  const child = spawn(run.program, run.args, {
    env: run.env,
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const stop = (): void => {
    killGroup(child.pid)
    reject(limit.reason as Error)
  }
  limit.addEventListener('abort', stop, { once: true })
  child.once('error', reject)
  child.once('close', (code) => resolve(code ?? 1))
  // A program that ends without reading its input is no failure of ours.
  child.stdin.on('error', () => undefined)
  child.stdin.end(run.input)
  const output = collect(child.stdout, run.maxOutputBytes, run.program)
  try {
    const [code, bytes] = await Promise.all([promise, output])
    return { code, output: bytes.toString('utf8') }
  } catch (error) {
    killGroup(child.pid)
    // Somebody who left the group may still hold the other end.
    child.stdout.destroy()
    throw error
  } finally {
    limit.removeEventListener('abort', stop)
  }
}

/** A word for what `runProgram` threw: `ENOENT`, `TimeoutError`, `LimitExceeded`. */
export function runFailure(error: unknown): string {
  if (error instanceof ExpectedError) return error.reason
  if (!(error instanceof Error)) return 'unknown'
  // Of a DOMException the code is a number that tells nobody anything.
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' ? code : error.name
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // All of it has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
