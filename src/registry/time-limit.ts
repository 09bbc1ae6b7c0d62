/** The time that a whole question may take (rule T6). */
import { ExpectedError, printable } from '../errors.ts'

/** `ms` for the work; throws RegistryUnavailable when it is over, the caller's own reason when that aborts. */
export async function withinTime<T>(
  ms: number,
  host: string,
  signal: AbortSignal,
  work: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  const time = AbortSignal.timeout(ms)
  try {
    return await work(AbortSignal.any([signal, time]))
  } catch (error) {
    if (!time.aborted || signal.aborted || error instanceof ExpectedError) throw error
    throw new ExpectedError('RegistryUnavailable', `${printable(host)} did not finish within ${ms} ms`, {
      retry: 'backoff',
      cause: error,
    })
  }
}
