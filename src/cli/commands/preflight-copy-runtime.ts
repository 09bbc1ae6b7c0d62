/** `fairlead preflight copy-runtime`: what a preflight in a container of the app's image is started with. */
import { resolve } from 'node:path'
import { copyRuntime } from '../../preflight/copy-runtime.ts'
import type { RunCommand } from '../command-spec.ts'

export const preflightCopyRuntime: RunCommand = async (context, call) => {
  copyRuntime(resolve(context.cwd, call.args[0] ?? ''))
}
