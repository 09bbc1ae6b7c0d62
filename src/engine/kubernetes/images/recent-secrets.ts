/**
 * Remembers for less than a minute what was read, so that a thousand apps of a namespace ask once. What has run out is
 * dropped by a timer, not by the next question: no credential stays in memory because nobody asks any more.
 */
import type { SecretReader } from './secret-reader.ts'

const KEEP_MS = 30_000

interface Kept {
  readonly untilMs: number
  readonly value: Promise<unknown>
}

export function recentSecrets(reader: SecretReader, now: () => number): SecretReader & { forget(): void } {
  const kept = new Map<string, Kept>()
  let timer: NodeJS.Timeout | undefined

  const sweep = (): void => {
    timer = undefined
    for (const [key, { untilMs }] of kept) if (untilMs <= now()) kept.delete(key)
    if (kept.size > 0) wait()
  }
  const wait = (): void => {
    timer ??= setTimeout(sweep, KEEP_MS).unref()
  }
  const once = async <Value>(key: string, read: () => Promise<Value>): Promise<Value> => {
    const known = kept.get(key)
    // One key always holds one kind of value.
    if (known !== undefined && known.untilMs > now()) return known.value as Promise<Value>
    const value = read()
    const entry = { untilMs: now() + KEEP_MS, value }
    kept.set(key, entry)
    wait()
    try {
      return await value
    } catch (error) {
      if (kept.get(key) === entry) kept.delete(key)
      throw error
    }
  }
  return {
    // Without the caller's signal: the answer is shared with others, and it takes a moment only.
    readSecret: (namespace, name) =>
      once(`secret ${namespace}/${name}`, () =>
        reader.readSecret(namespace, name, AbortSignal.timeout(KEEP_MS)),
      ),
    readServiceAccount: (namespace, name) =>
      once(`account ${namespace}/${name}`, () =>
        reader.readServiceAccount(namespace, name, AbortSignal.timeout(KEEP_MS)),
      ),
    forget: () => {
      kept.clear()
      clearTimeout(timer)
      timer = undefined
    },
  }
}
