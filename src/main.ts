#!/usr/bin/env node
/** The composition root: hands the process to the command line and its exit code back. */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HOST_TREE, type CommandTree } from './cli/commands.ts'
import { printError } from './cli/print-error.ts'
import { processContext } from './cli/process-context.ts'
import { runCli } from './cli/run-cli.ts'

const context = processContext(fileURLToPath(import.meta.url))

// A reader that went away (`fairlead logs app | head`) is no error. An answer that could not be written is one: it may
// be somebody's backup.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? 0 : printError(context, error)),
  )
}

const exitCode = await runCli(context, process.argv.slice(2), await commandTree())
// Errors of what was written last are told only after it.
await new Promise((resolve) => process.stdout.write('', resolve))
process.exit(exitCode)

/** kubectl finds its plugins by their file's name; a launcher says by a variable which one it is. */
async function commandTree(): Promise<CommandTree> {
  const called = process.env['FAIRLEAD_PROGRAM'] ?? basename(process.argv[1] ?? '')
  return called === 'kubectl-fairlead' ? (await import('./cli/tree/cluster.ts')).PLUGIN_TREE : HOST_TREE
}
