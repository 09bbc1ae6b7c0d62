#!/usr/bin/env node
/** The composition root: hands the process to the command line and its exit code back. */
import { fileURLToPath } from 'node:url'
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

const exitCode = await runCli(context, process.argv.slice(2))
// Errors of what was written last are told only after it.
await new Promise((resolve) => process.stdout.write('', resolve))
process.exit(exitCode)
