/**
 * Kernel locks (flock) that end with their holder, however it dies. Node has no flock(2): a child `flock … cat` holds
 * the lock and ends when our end of its stdin closes, which the kernel does even on SIGKILL.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { ExpectedError } from '../../errors.ts'
import { corruptState } from './state-file.ts'

const BUSY_EXIT_CODE = 75

export interface HeldLock {
  /** Fires when the lock is lost without release: the holder must stop at once. */
  readonly lost: Promise<void>
  release(): Promise<void>
}

/** Takes the lock or, when somebody else has it, returns undefined (`wait: false`) or waits (`wait: true`). */
export async function takeLock(
  file: string,
  options: { readonly wait: boolean },
): Promise<HeldLock | undefined> {
  requireLockable(file)
  const args = [
    ...(options.wait ? [] : ['-n']),
    '-E',
    String(BUSY_EXIT_CODE),
    file,
    'sh',
    '-c',
    'echo locked && exec cat',
  ]
  const child = spawn('flock', args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
  failed.catch(() => undefined)
  const locked = once(child.stdout, 'data').then(() => 'locked' as const)
  const outcome = await Promise.race([locked, ended, failed])
  if (outcome === BUSY_EXIT_CODE) return undefined
  if (outcome !== 'locked') {
    throw new ExpectedError('InternalError', `cannot lock ${file}: flock ended with ${String(outcome)}`, {
      retry: 'backoff',
    })
  }
  return heldBy(child, ended)
}

/** Runs `work` while holding the lock. */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(file, { wait: true })
  try {
    return await work()
  } finally {
    await lock?.release()
  }
}

/** flock would wait at a FIFO for ever. */
function requireLockable(file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats !== undefined && !stats.isFile() && !stats.isDirectory())
    throw corruptState(file, 'is no plain file')
}

function heldBy(child: ChildProcess, ended: Promise<number | null>): HeldLock {
  let released = false
  // Holding a lock must not keep the process alive; giving it back must.
  child.unref()
  child.stdout?.destroy()
  return {
    lost: ended.then(() => (released ? new Promise<void>(() => undefined) : undefined)),
    async release() {
      if (released) return
      released = true
      child.ref()
      child.stdin?.end()
      await ended
    },
  }
}
