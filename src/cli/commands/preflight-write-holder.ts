/** `fairlead preflight write-holder`: what a container of the app's image is started with where it can't be mounted. */
import { resolve } from 'node:path'
import { writeHolder } from '../../preflight/holder.ts'
import type { RunCommand } from '../command-spec.ts'

export const preflightWriteHolder: RunCommand = async (context, call) => {
  writeHolder(resolve(context.cwd, call.args[0] ?? ''))
}
