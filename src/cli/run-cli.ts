/** One run of the program: parse, import the one command, run it, say how it ended. */
import { CommanderError } from 'commander'
import { ExpectedError } from '../errors.ts'
import type { CommandSpec } from './command-spec.ts'
import { HOST_TREE, type CommandTree } from './commands.ts'
import type { CliContext } from './context.ts'
import { EXIT_USAGE, printError } from './print-error.ts'
import { buildProgram } from './program.ts'

/** Runs `argv` (without node and script). Never throws; the result is the exit code. */
export async function runCli(
  context: CliContext,
  argv: readonly string[],
  tree: CommandTree = HOST_TREE,
): Promise<number> {
  let exitCode = 0
  let failureCode: number | undefined
  const program = buildProgram(
    context,
    async (spec, call) => {
      failureCode = spec.failureCode
      const sparesRoot = spec.spareRoot?.(call.options) === true
      if (spec.needsRoot === true && !sparesRoot && !context.isRoot) throw notRoot(spec)
      const run = await spec.load?.()
      exitCode = (await run?.(context, call)) ?? 0
    },
    tree,
  )
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    // Help and usage errors are printed already; help that nobody asked for is a usage error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    return printError(context, error, failureCode)
  }
}

function notRoot(spec: CommandSpec): ExpectedError {
  return new ExpectedError(
    'PermissionDenied',
    `fairlead ${spec.name} needs root: containers, mounts and file owners do; run it with sudo`,
  )
}
