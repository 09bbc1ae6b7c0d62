/** `fairlead up`: stores what files say, sees to a controller, waits until it is so. */
import { LocalAppStore } from '../../engine/local/app-store.ts'
import type { StatePaths } from '../../engine/local/paths.ts'
import { SourceStore, type SourceDocument } from '../../engine/local/source-store.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { namedSources } from '../../reconcile/revision.ts'
import type { App } from '../../crd/types.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { ensureController, refuseOtherRuntime } from '../controller-process.ts'
import type { Expectation } from '../expectation.ts'
import { requireInput, type InputDocuments } from '../input-documents.ts'
import { outputFormat } from '../output.ts'
import { printApps, reportVerdicts, reportWarnings } from '../report-apps.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'
import { sourceDocuments, submissionOf } from '../submission.ts'
import { DEFAULT_WAIT_MS, waitForApps } from '../wait-apps.ts'

export const up: RunCommand = async (context, call) => {
  outputFormat(call)
  call.options.durationMs('waitTimeout', DEFAULT_WAIT_MS)
  const input = await requireInput(context, call)
  const paths = statePathsOf(context, call)
  await refuseOtherRuntime(paths, call)
  const expectations = await submit(paths, input)
  if (!call.options.flag('wait')) return announce(context, call, paths, input)
  const { apps, interrupted } = await waitForApps(context, call, paths, expectations)
  const exitCode = reportVerdicts(context, apps, interrupted)
  await reportWarnings(context, paths, apps)
  await printApps(
    context,
    call,
    paths,
    expectations.map(({ key }) => key),
  )
  return exitCode
}

/** Stores Secrets and ConfigMaps first: an app must never be looked at without what it names. */
async function submit(paths: StatePaths, input: InputDocuments): Promise<readonly Expectation[]> {
  const apps = new LocalAppStore(paths)
  const sources = new SourceStore(paths)
  const documents = sourceDocuments(input)
  const changed = await changedSources(sources, documents)
  const submissions = input.apps.map(submissionOf)
  const before = await Promise.all(submissions.map(({ key }) => apps.read(key)))
  await sources.submit(documents)
  await apps.submit(submissions)
  const expectations: Expectation[] = []
  for (const [index, { app }] of input.apps.entries()) {
    const key = { namespace: app.metadata.namespace, name: app.metadata.name }
    const status = before[index]?.status
    const stored = await requireApp(apps, key)
    expectations.push({
      key,
      generation: stored.generation,
      before: status,
      otherRevisionThan: namesOne(app, changed) ? status?.workload?.revision : undefined,
    })
  }
  return expectations
}

async function changedSources(
  sources: SourceStore,
  documents: readonly SourceDocument[],
): Promise<ReadonlySet<string>> {
  const changed = new Set<string>()
  for (const document of documents) {
    const stored = await sources.read(document.kind, document.namespace, document.name)
    if (canonicalJson(stored?.data ?? null) !== canonicalJson(document.data))
      changed.add(sourceId(document.kind, document.namespace, document.name))
  }
  return changed
}

function namesOne(app: App, changed: ReadonlySet<string>): boolean {
  return namedSources(app).some(({ kind, name }) => changed.has(sourceId(kind, app.metadata.namespace, name)))
}

function sourceId(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`
}

async function announce(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
  input: InputDocuments,
): Promise<void> {
  const keys = input.apps.map(({ app }) => ({ namespace: app.metadata.namespace, name: app.metadata.name }))
  if (keys.length > 0) await ensureController(context, call, paths)
  context.stderr.write(`stored ${keys.length} ${keys.length === 1 ? 'app' : 'apps'}; see: fairlead status\n`)
  await printApps(context, call, paths, keys)
}
