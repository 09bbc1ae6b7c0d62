/** Where the state folder is, and what can be read there without loading the engine. */
import { resolve } from 'node:path'
import { DEFAULT_STATE_DIR, statePaths, type StatePaths } from '../engine/local/paths.ts'
import { requireStateFolders } from '../engine/local/state-file.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'

/** `--state`, else FAIRLEAD_STATE, else /var/lib/fairlead; always absolute. */
export function stateDirOf(context: CliContext, call: CommandCall): string {
  const fromEnvironment = context.env['FAIRLEAD_STATE']
  const dir = call.options.text('state') ?? (fromEnvironment === '' ? undefined : fromEnvironment)
  return resolve(context.cwd, dir ?? DEFAULT_STATE_DIR)
}

/** Throws StateCorrupt where something else lies in the place of a folder: it must not look as if nothing were there. */
export function statePathsOf(context: CliContext, call: CommandCall): StatePaths {
  const paths = statePaths(stateDirOf(context, call))
  requireStateFolders(paths)
  return paths
}
