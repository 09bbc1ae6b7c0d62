/** Which version of a program is installed. */
import { run } from '../../../../scripts/lib/run.ts'

/** The word after `version` (or the first number) that `PROGRAM --version` prints; undefined when it is not installed. */
export async function programVersion(program: string): Promise<string | undefined> {
  const result = await run(program, ['--version']).catch(() => undefined)
  return /\bv?(\d+\.\d+[^\s,]*)/.exec(result?.stdout ?? '')?.[1]
}
