/**
 * Waits for the controller's work: woken by changes in the state folder and now and then by itself, keeps a controller
 * running, stops at the timeout or when interrupted.
 */
import { watch, type FSWatcher } from 'node:fs'
import type { StatePaths } from '../engine/local/paths.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import {
  controllerUnavailable,
  isLockHeld,
  liveController,
  startController,
  type StartedController,
} from './controller-process.ts'

export interface WaitOptions {
  readonly context: CliContext
  readonly call: CommandCall
  readonly paths: StatePaths
  readonly timeoutMs: number
  /** Folders whose changes wake the wait. */
  readonly folders: readonly string[]
  /** Looks once; true ends the wait. `controllerSinceMs` is how long a controller has been seen without a break. */
  readonly look: (controllerSinceMs: number) => Promise<boolean>
}

export type WaitEnd = 'done' | 'timeout' | 'interrupted'

/** The usual wake-up is a file event; this is for the ones that are missed. */
const RECHECK_MS = 250
const CONTROLLER_CHECK_MS = 1000
const MAX_CONTROLLER_STARTS = 3

export async function waitLoop({
  context,
  call,
  paths,
  timeoutMs,
  folders,
  look,
}: WaitOptions): Promise<WaitEnd> {
  const { signal } = context
  const deadlineMs = performance.now() + timeoutMs
  const alarm = new Alarm(folders)
  const keeper = new ControllerKeeper(context, call, paths)
  try {
    for (;;) {
      await keeper.keep()
      if (await look(keeper.sinceMs())) return 'done'
      if (signal.aborted) return 'interrupted'
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) return 'timeout'
      await alarm.next(Math.min(RECHECK_MS, leftMs), signal)
    }
  } finally {
    alarm.close()
  }
}

/** Sees to a controller: starts one when there is none, again when it died, but not for ever. */
class ControllerKeeper {
  readonly #context: CliContext
  readonly #call: CommandCall
  readonly #paths: StatePaths
  #started: StartedController | undefined
  #starts = 0
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #sinceMs = performance.now()

  constructor(context: CliContext, call: CommandCall, paths: StatePaths) {
    this.#context = context
    this.#call = call
    this.#paths = paths
  }

  async keep(): Promise<void> {
    if (performance.now() - this.#checkedAtMs < CONTROLLER_CHECK_MS) return
    if (!(await this.#isThere())) {
      if (this.#starts === MAX_CONTROLLER_STARTS) throw controllerUnavailable(this.#paths)
      this.#starts += 1
      this.#started = await startController(this.#context, this.#call, this.#paths)
      this.#sinceMs = performance.now()
    }
    this.#checkedAtMs = performance.now()
  }

  sinceMs(): number {
    return performance.now() - this.#sinceMs
  }

  async #isThere(): Promise<boolean> {
    if (this.#started?.hasEnded() === false || (await liveController(this.#paths)) !== undefined) return true
    // Ours may have ended because another one has the lock and has not said yet who it is.
    return this.#started !== undefined && isLockHeld(this.#paths)
  }
}

/** A timer that changes in folders cut short. */
class Alarm {
  readonly #watchers: FSWatcher[] = []
  #wake: () => void = () => undefined
  #rang = false

  constructor(folders: readonly string[]) {
    for (const folder of folders) this.#watch(folder)
  }

  async next(afterMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#rang) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', finish)
          resolve()
        }
        const timer = setTimeout(finish, afterMs)
        signal.addEventListener('abort', finish, { once: true })
        this.#wake = finish
      })
    }
    this.#rang = false
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close()
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, () => this.#ring())
      watcher.on('error', () => this.#ring())
      this.#watchers.push(watcher)
    } catch {
      // Gone, or no watches left: the timer still looks.
    }
  }

  #ring(): void {
    this.#rang = true
    this.#wake()
  }
}
