/** `fairlead down`: asks for the end of apps, waits until they are gone, says which volumes are left. */
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { appPaths, type StatePaths } from '../../engine/local/paths.ts'
import { VolumeStore } from '../../engine/local/volume-store.ts'
import { printable } from '../../errors.ts'
import type { AppKey } from '../../reconcile/names.ts'
import { appKeyOf } from '../app-name.ts'
import { readyOf, shortName } from '../app-view.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { ensureController } from '../controller-process.ts'
import { forgetSources, type NamedSource } from '../forget-sources.ts'
import { requireInput } from '../input-documents.ts'
import { EXIT_FAILED } from '../print-error.ts'
import { progressView } from '../progress-view.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'
import { UsageError } from '../usage-error.ts'
import { DEFAULT_WAIT_MS } from '../wait-apps.ts'
import { waitLoop } from '../wait-loop.ts'

export const down: RunCommand = async (context, call) => {
  const timeoutMs = call.options.durationMs('waitTimeout', DEFAULT_WAIT_MS)
  const { keys, sources } = await namedThings(context, call)
  const paths = statePathsOf(context, call)
  const apps = new LocalAppStore(paths)
  // All names are looked up before any of them is touched.
  for (const key of keys) await requireApp(apps, key)
  for (const key of keys) await apps.requestDeletion(key, call.options.flag('volumes'))
  if (!call.options.flag('wait')) {
    await ensureController(context, call, paths)
    return 0
  }
  const left = await waitUntilGone(context, call, paths, keys, timeoutMs)
  for (const key of keys) {
    if (!left.includes(key)) await reportGone(context, paths, key)
  }
  if (left.length > 0) return EXIT_FAILED
  for (const { kind, name } of await forgetSources(paths, sources))
    context.stdout.write(`kept ${kind} ${name}: another app uses it\n`)
  return 0
}

interface NamedThings {
  readonly keys: readonly AppKey[]
  readonly sources: readonly NamedSource[]
}

async function namedThings(context: CliContext, call: CommandCall): Promise<NamedThings> {
  const fromFiles = call.options.list('file').length > 0
  if (fromFiles === call.args.length > 0)
    throw new UsageError('name the apps, or the files that describe them with -f, not both')
  if (!fromFiles) {
    return { keys: [...new Map(call.args.map((text) => [text, appKeyOf(call, text)])).values()], sources: [] }
  }
  const { apps, secrets, configMaps } = await requireInput(context, call)
  if (apps.length === 0) throw new UsageError('the files describe no app', '--file')
  return {
    keys: apps.map(({ app }) => ({ namespace: app.metadata.namespace, name: app.metadata.name })),
    sources: [...secrets, ...configMaps].map(({ kind, metadata }) => ({ kind, ...metadata })),
  }
}

/** The apps that are still there at the end of the wait; each is told. */
async function waitUntilGone(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
  keys: readonly AppKey[],
  timeoutMs: number,
) {
  const apps = new LocalAppStore(paths)
  const view = progressView(context)
  let left: readonly AppKey[] = keys
  const look = async () => {
    const still: AppKey[] = []
    for (const key of left) if ((await apps.read(key)) !== undefined) still.push(key)
    left = still
    view.show(
      keys.map((key) => ({
        name: shortName(key),
        progress: undefined,
        waiting: still.includes(key) ? 'Stopping' : 'Removed',
      })),
    )
    return still.length === 0
  }
  const folders = [paths.apps, ...keys.map((key) => appPaths(paths, key).dir)]
  const end = await waitLoop({ context, call, paths, timeoutMs, folders, look }).finally(() => view.clear())
  for (const key of left) await reportLeft(context, apps, key, end === 'interrupted')
  return left
}

async function reportLeft(
  context: CliContext,
  apps: LocalAppStore,
  key: AppKey,
  interrupted: boolean,
): Promise<void> {
  const name = shortName(key)
  const ready = readyOf((await apps.read(key))?.status)
  const why =
    ready === undefined || ready.status === 'True'
      ? ''
      : `: ${printable(ready.reason)}: ${printable(ready.message, 4000)}`
  context.stderr.write(
    interrupted
      ? `${name} goes on stopping; see: fairlead status ${name}\n`
      : `TimedOut: ${name} is not gone yet${why}\n`,
  )
}

async function reportGone(context: CliContext, paths: StatePaths, key: AppKey): Promise<void> {
  const name = shortName(key)
  const kept = await new VolumeStore(paths).list(key)
  context.stdout.write(`${name} removed\n`)
  if (kept.length === 0) return
  context.stdout.write(
    `kept ${kept.length === 1 ? 'its volume' : `its ${kept.length} volumes`}; 'up' finds ${kept.length === 1 ? 'it' : 'them'} again, this deletes ${kept.length === 1 ? 'it' : 'them'} for good:\n`,
  )
  for (const { record } of kept)
    context.stdout.write(`  fairlead volumes rm ${name} ${printable(record.path, 500)}\n`)
}
