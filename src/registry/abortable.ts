/** A promise that several wait for, each with an end of their own. */

export interface Patience {
  /** Infinity for no end. */
  readonly ms: number
  /** What is thrown afterwards. */
  readonly tooLate: Error
}

/** The shared result; or the caller's own abort, or the end of its patience, whichever is first. */
export async function abortable<Value>(
  shared: Promise<Value>,
  signal: AbortSignal,
  patience?: Patience,
): Promise<Value> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
  signal.addEventListener('abort', onAbort, { once: true })
  const timer =
    patience === undefined || patience.ms === Infinity
      ? undefined
      : setTimeout(() => reject(patience.tooLate), patience.ms)
  try {
    return await Promise.race([shared, promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
