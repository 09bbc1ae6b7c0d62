/** `fairlead version`: what a bug report needs. */
import { runtimeVersion, RUNTIMES } from '../../engine/local/runtime.ts'
import { ExpectedError } from '../../errors.ts'
import type { RunCommand } from '../command-spec.ts'
import { outputFormat, writeAnswer } from '../output.ts'
import { packageVersion } from '../package-version.ts'

export const version: RunCommand = async (context, call) => {
  const runtimes = await Promise.all(RUNTIMES.map(async (name) => [name, await installed(name)] as const))
  const versions = { fairlead: packageVersion(), node: process.version, ...Object.fromEntries(runtimes) }
  const lines = () =>
    Object.entries(versions)
      .map(([name, text]) => `${name.padEnd(10)}${text}\n`)
      .join('')
  await writeAnswer(context, outputFormat(call), versions, lines)
}

async function installed(name: (typeof RUNTIMES)[number]): Promise<string> {
  try {
    const text = await runtimeVersion(name)
    return text.replace(new RegExp(`^${name} version `), '')
  } catch (error) {
    if (error instanceof ExpectedError) return 'not installed'
    throw error
  }
}
