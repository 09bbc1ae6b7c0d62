/** The state folder for commands that need none: used where it may be read, an empty one elsewhere. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../engine/local/disk.ts'
import { statePaths, type StatePaths } from '../engine/local/paths.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { statePathsOf } from './state-folder.ts'

/** Never made: a path at which nothing can be. */
const NOWHERE = join('/proc/self/fdinfo', 'fairlead-no-state')

export async function readableState(context: CliContext, call: CommandCall): Promise<StatePaths> {
  const paths = statePathsOf(context, call)
  try {
    await access(paths.root, constants.R_OK | constants.X_OK)
    return paths
  } catch (error) {
    if (isMissing(error)) return paths
    return statePaths(NOWHERE)
  }
}
