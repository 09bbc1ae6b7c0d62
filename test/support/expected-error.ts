/** Catches what a call throws, so that a table can compare reason and message at once. */
import { ExpectedError } from '../../src/errors.ts'

/** `Reason: message` of the ExpectedError that the call throws; the test fails with what came instead. */
export async function failureOf(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}: ${error.message}`
    throw error
  }
  throw new Error('expected a failure, but the call succeeded')
}
