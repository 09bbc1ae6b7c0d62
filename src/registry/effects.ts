/** The real effects, where nobody injected others. */
import { lookup } from 'node:dns'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Effects } from './types.ts'

export function effectsOf(given: Partial<Effects> = {}): Effects {
  return {
    now: given.now ?? Date.now,
    random: given.random ?? Math.random,
    wait: given.wait ?? ((ms, signal) => sleep(ms, undefined, { signal })),
    lookup: given.lookup ?? lookup,
    env: given.env ?? process.env,
  }
}
