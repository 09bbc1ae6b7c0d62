#!/usr/bin/env node
/** The composition root: hands the process to the command line and its exit code back. */
import { fileURLToPath } from 'node:url'
import { processContext } from './cli/process-context.ts'
import { runCli } from './cli/run-cli.ts'

// A reader that went away (`fairlead logs app | head`) is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
}

const exitCode = await runCli(processContext(fileURLToPath(import.meta.url)), process.argv.slice(2))
process.exit(exitCode)
