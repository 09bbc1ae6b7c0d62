/** `rebuild`, `rollback` and `restart` on a cluster: one annotation, set with the user's own rights. */
import { CONTAINER_APPS } from '../../engine/kubernetes/resources.ts'
import type { AppKey } from '../../reconcile/names.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import { withStatus } from '../app-view.ts'
import type { CommandCall } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import type { Expectation } from '../expectation.ts'
import { outputFormat, writeAnswer } from '../output.ts'
import { reportVerdicts } from '../report-apps.ts'
import type { AnnotationChange } from '../request.ts'
import { DEFAULT_WAIT_MS } from '../wait-apps.ts'
import { PLUGIN_FIELD_MANAGER, PLUGIN_PROGRAM } from './program-name.ts'
import { requireClusterApp, storedApp, type ClusterTarget } from './target.ts'
import { waitForClusterApp } from './wait.ts'

export interface ClusterRequest {
  readonly key: AppKey
  readonly before: StoredApp
  readonly annotations: AnnotationChange
  readonly expect: Partial<Expectation>
  /** One line about the result, for people. */
  readonly say: (before: StoredApp, after: StoredApp) => string
  /** For standard error, as soon as it is asked. */
  readonly note?: string | undefined
  /** false: it is done as soon as it is asked. */
  readonly waits?: boolean
}

export async function requestOfClusterApp(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
  request: ClusterRequest,
): Promise<number> {
  const { key, before } = request
  // Options first: nothing is asked for when one of them makes no sense.
  const format = outputFormat(call)
  call.options.durationMs('waitTimeout', DEFAULT_WAIT_MS)
  const changed = await target.client.mergePatch(
    CONTAINER_APPS,
    key.namespace,
    key.name,
    { metadata: { annotations: nulled(request.annotations) } },
    { fieldManager: PLUGIN_FIELD_MANAGER },
  )
  if (request.note !== undefined) context.stderr.write(`${request.note}\n`)
  const { waits = true } = request
  if (waits && !call.options.flag('wait')) return 0
  const expected = {
    key,
    generation: storedApp(changed).generation,
    before: before.status,
    ...request.expect,
  }
  const exitCode = waits ? await awaited(context, call, target, expected) : 0
  const after = await requireClusterApp(target, key)
  if (format !== 'table') await writeAnswer(context, format, withStatus(after), () => '')
  else if (exitCode === 0) context.stdout.write(`${request.say(before, after)}\n`)
  return exitCode
}

async function awaited(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
  expected: Expectation,
): Promise<number> {
  const { apps, interrupted } = await waitForClusterApp(context, call, target, expected)
  return reportVerdicts(context, apps, interrupted, PLUGIN_PROGRAM)
}

/** A merge patch removes what is null (RFC 7386). */
function nulled(change: AnnotationChange): Readonly<Record<string, string | null>> {
  return Object.fromEntries(Object.entries(change).map(([key, value]) => [key, value ?? null]))
}
