/** The real effects, where nobody injected others. */
import { lookup } from 'node:dns'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Effects } from './types.ts'

export function effectsOf(given: Partial<Effects> = {}): Effects {
  return {
    now: given.now ?? Date.now,
    random: given.random ?? Math.random,
    wait: given.wait ?? waitFor,
    lookup: given.lookup ?? lookup,
    env: given.env ?? process.env,
  }
}

/** Node's own rejects with an AbortError, whatever the reason was. */
async function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
