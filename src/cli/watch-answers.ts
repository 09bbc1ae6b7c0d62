/** `--watch`: an answer printed again whenever it changed. */
import { setTimeout as delay } from 'node:timers/promises'
import type { CliContext } from './context.ts'

/** An answer and what it depends on. */
export interface Shown {
  readonly fingerprint: string
  readonly print: () => Promise<void>
}

const WATCH_INTERVAL_MS = 500

/** Goes on until it is interrupted, or until `show` throws because what was watched is gone. */
export async function watchAnswers(
  context: Pick<CliContext, 'signal' | 'stdout'>,
  show: () => Shown | Promise<Shown>,
  intervalMs = WATCH_INTERVAL_MS,
): Promise<void> {
  const { signal } = context
  let last: string | undefined
  while (!signal.aborted) {
    const shown = await show()
    if (shown.fingerprint !== last) {
      if (last !== undefined && context.stdout.isTerminal) context.stdout.write('\n')
      await shown.print()
    }
    last = shown.fingerprint
    await delay(intervalMs, undefined, { signal }).catch(() => undefined)
  }
}
