/** The command was called in a way that cannot work: its message is all that a person needs to read. */
export class UsageError extends Error {}

/** Runs a command of the kits; what was typed wrong is told in a sentence and with the usage, exit code 2. */
export async function withUsage(usage: string, main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    process.stderr.write(`${slipOf(error)}\nusage: ${usage}\n`)
    process.exitCode = 2
  }
}

/** In words. Throws what is no slip of the one who typed. */
function slipOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (!(error instanceof UsageError) && code?.startsWith('ERR_PARSE_ARGS') !== true) throw error
  // Node's advice is on the lines after the first.
  return message.split('\n')[0] ?? ''
}
