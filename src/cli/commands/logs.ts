/** `fairlead logs`: what the container wrote, byte for byte, through restarts and new revisions. */
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { instancePaths, type StatePaths } from '../../engine/local/paths.ts'
import type { AppKey } from '../../reconcile/names.ts'
import { namedApp } from '../app-name.ts'
import { shortName } from '../app-view.ts'
import type { RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { startedInstances } from '../current-instance.ts'
import { copyLog, followLog, tailOffset } from '../log-file.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'

export const logs: RunCommand = async (context, call) => {
  const key = namedApp(call)
  const paths = statePathsOf(context, call)
  const tail = call.options.count('tail')
  await requireApp(new LocalAppStore(paths), key)
  const file = await currentLog(paths, key)
  const start = file === undefined || tail === undefined ? 0 : await tailOffset(file, tail)
  if (call.options.flag('follow')) return follow(context, paths, key, file, start)
  if (file === undefined) context.stderr.write(`${shortName(key)} was never started: there is no log yet\n`)
  else await copyLog(file, context.stdout.stream, start)
}

/** The log of the container that runs, else of the one that ran last. */
async function currentLog(paths: StatePaths, key: AppKey): Promise<string | undefined> {
  const [current] = await startedInstances(paths, key)
  return current === undefined ? undefined : instancePaths(paths, current.record.id).log
}

/** Goes on with the next container's log when a new revision takes over; ends when the app is gone. */
async function follow(
  context: CliContext,
  paths: StatePaths,
  key: AppKey,
  file: string | undefined,
  start: number,
): Promise<void> {
  const apps = new LocalAppStore(paths)
  let next = file
  await followLog({
    output: context.stdout.stream,
    signal: context.signal,
    start,
    current: async () => {
      // The old container's log stays the one to read until there is a newer one.
      next = (await currentLog(paths, key)) ?? next
      return (await apps.read(key)) === undefined ? 'gone' : next
    },
  })
}
