/** Where the state folder is, and what can be read there without loading the engine. */
import { resolve } from 'node:path'
import { DEFAULT_STATE_DIR, statePaths, type StatePaths } from '../engine/local/paths.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'

/** `--state`, else FAIRLEAD_STATE, else /var/lib/fairlead; always absolute. */
export function stateDirOf(context: CliContext, call: CommandCall): string {
  const fromEnvironment = context.env['FAIRLEAD_STATE']
  const dir = call.options.text('state') ?? (fromEnvironment === '' ? undefined : fromEnvironment)
  return resolve(context.cwd, dir ?? DEFAULT_STATE_DIR)
}

export function statePathsOf(context: CliContext, call: CommandCall): StatePaths {
  return statePaths(stateDirOf(context, call))
}
