/**
 * `kubectl fairlead diff`: what applying files, or the controller's next pass over an app, would change. Every change is
 * tried by the API server without being made, with the rights of the user.
 */
import { parseApp } from '../../../crd/app.ts'
import { podSecurityOf } from '../../../engine/kubernetes/cluster-facts.ts'
import { CONTAINER_APPS, NAMESPACES } from '../../../engine/kubernetes/resources.ts'
import { ExpectedError, IssuesError } from '../../../errors.ts'
import type { ClusterObserved, ClusterOptions, KubeObject } from '../../../reconcile/kubernetes/types.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { requireInput, type InputApp, type InputDocuments } from '../../input-documents.ts'
import { lineWidth, outputFormat, writeAnswer, writeSentences } from '../../output.ts'
import { EXIT_DIFF_FAILED, EXIT_DIFFERENT, errorLines, issueLine } from '../../print-error.ts'
import { painter, type Paint } from '../../styles.ts'
import { submissionOf } from '../../submission.ts'
import { UsageError } from '../../usage-error.ts'
import { observeApp } from '../children.ts'
import { changeOfApp, changeOfStep, type ObjectChange } from '../dry-run.ts'
import { examineForCluster } from '../examine.ts'
import { availableChange, imageText, takenChange, type ImageChange } from '../image-change.ts'
import { plannedChanges, settledChanges, type PlannedChanges } from '../planned-changes.ts'
import { renderSettings, type RenderSettings } from '../render-options.ts'
import { namedClusterApp, onCluster, requireClusterApp, storedApp, type ClusterTarget } from '../target.ts'

/** An app as it would be, and as it is. */
interface Candidate {
  readonly document: InputApp
  readonly live: KubeObject | undefined
  /** Words of a file; undefined: those of the cluster. */
  readonly words: KubeObject | undefined
}

export async function clusterDiff(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<number> {
  const format = outputFormat(call)
  const settings = renderSettings(context, call)
  const { candidates, secrets } = await candidatesOf(context, call, target)
  const changes: ObjectChange[] = []
  const imageChanges: ImageChange[] = []
  let failed = false
  for (const candidate of candidates) {
    const found = await changesOf(context, call, target, { candidate, secrets, settings })
    changes.push(...found.changes)
    if (found.image !== undefined) imageChanges.push(found.image)
    failed ||= found.problems.length > 0
    writeSentences(context, found.problems.flatMap(errorLines))
  }
  await writeAnswer(
    context,
    format,
    { changes, images: imageChanges },
    () => imageText(imageChanges, lineWidth(context)) + diffText(changes, painter(context, context.stdout)),
  )
  if (failed) return EXIT_DIFF_FAILED
  return changes.length === 0 ? 0 : EXIT_DIFFERENT
}

async function candidatesOf(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<{ readonly candidates: readonly Candidate[]; readonly secrets: InputDocuments['secrets'] }> {
  const [hasName, hasFiles] = [call.args[0] !== undefined, call.options.list('file').length > 0]
  if (hasName === hasFiles) throw new UsageError('name an app, or files with -f', 'name')
  if (hasName) return { candidates: [await liveCandidate(call, target)], secrets: [] }
  const { apps, secrets } = await requireInput(context, call, target.namespace)
  return { candidates: await Promise.all(apps.map((app) => fileCandidate(target, app))), secrets }
}

async function liveCandidate(call: CommandCall, target: ClusterTarget): Promise<Candidate> {
  const { key, resource } = await requireClusterApp(target, namedClusterApp(call, target))
  const parsed = parseApp(resource, key.namespace)
  if ('issues' in parsed) throw new IssuesError(parsed.issues)
  const document = { app: parsed.app, source: 'the cluster', baseDir: '/' }
  return { document, live: resource as KubeObject, words: undefined }
}

/** A file's words with the identity and the pin that the app has in the cluster, unless the file brings a pin along. */
async function fileCandidate({ client }: ClusterTarget, document: InputApp): Promise<Candidate> {
  const { app } = document
  const { namespace, name } = app.metadata
  const live = await client.get(CONTAINER_APPS, namespace, name)
  const words = submissionOf(document).resource as KubeObject
  if (live === undefined) return { document, live, words }
  const status = app.status ?? storedApp(live).status
  const { uid } = live.metadata
  const metadata = { ...app.metadata, ...(uid === undefined ? {} : { uid }) }
  const known = { ...app, metadata, ...(status === undefined ? {} : { status }) }
  return { document: { ...document, app: known }, live, words }
}

interface DiffInput {
  readonly candidate: Candidate
  readonly secrets: InputDocuments['secrets']
  readonly settings: RenderSettings
}

interface RenderInput extends Omit<DiffInput, 'candidate'> {
  readonly document: InputApp
  readonly observed: ClusterObserved
}

interface Found {
  readonly changes: readonly ObjectChange[]
  readonly image: ImageChange | undefined
  readonly problems: readonly ExpectedError[]
}

async function changesOf(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
  { candidate, secrets, settings }: DiffInput,
): Promise<Found> {
  const { client } = target
  const { live, words } = candidate
  const applied = words === undefined ? undefined : await changeOfApp(client, live, words)
  const document = asServed(candidate, applied?.next)
  const observed = await observeApp(
    client,
    storedApp(live ?? (submissionOf(document).resource as KubeObject)),
    context.now(),
  )
  const settled = settledChanges(document.app, observed, context.now())
  const planned: PlannedChanges & Partial<Pick<Found, 'image'>> =
    settled ?? (await renderedChanges(context, call, target, { document, observed, secrets, settings }))
  writeSentences(context, planned.warnings.map(issueLine))
  const changes = [applied?.change]
  for (const step of planned.steps)
    changes.push(await changeOfStep(client, document.app.metadata.namespace, step))
  return {
    changes: changes.filter((change) => change !== undefined),
    image: planned.image ?? availableChange(document.app),
    problems: planned.problems,
  }
}

/** The app as the controller will read it: with the server's defaults, and what others have written into its metadata. */
function asServed({ document, live }: Candidate, next: KubeObject | undefined): InputApp {
  if (live === undefined || next === undefined) return document
  const parsed = parseApp(next, document.app.metadata.namespace)
  if ('issues' in parsed) return document
  const { status } = document.app
  return { ...document, app: { ...parsed.app, ...(status === undefined ? {} : { status }) } }
}

async function renderedChanges(
  context: CliContext,
  call: CommandCall,
  { client }: ClusterTarget,
  { document, observed, secrets, settings }: RenderInput,
): Promise<PlannedChanges & Pick<Found, 'image'>> {
  const { namespace, uid: appUid = '' } = document.app.metadata
  const podSecurity = call.options.text('podSecurity') ?? (await enforcedIn({ client }, namespace))
  const options = { ...settings.options, podSecurity: podSecurity as ClusterOptions['podSecurity'] }
  const input = { context, document, secrets, settings: { ...settings, options }, claims: observed.claims }
  const { image, desired, rendered, warnings } = await examineForCluster(input)
  const planned = plannedChanges({ appUid, observed, desired, rendered, options, nowMs: context.now() })
  return {
    ...planned,
    warnings: [...warnings, ...planned.warnings],
    image: await takenChange(input, image),
  }
}

/** As the controller takes a namespace: by its label; by the level that most clusters allow where it can't be read. */
async function enforcedIn(
  { client }: Pick<ClusterTarget, 'client'>,
  namespace: string,
): Promise<ClusterOptions['podSecurity']> {
  try {
    const object = await client.get(NAMESPACES, undefined, namespace)
    return object === undefined ? 'privileged' : podSecurityOf(object)
  } catch (error) {
    if (error instanceof ExpectedError && error.reason === 'ClusterForbidden') return 'baseline'
    throw error
  }
}

const STYLES = { '+': 'good', '-': 'bad', '@': 'dim' } as const

function diffText(changes: readonly ObjectChange[], paint: Paint): string {
  if (changes.length === 0) return 'no difference\n'
  return changes
    .map(({ change, kind, namespace, name, diff }) => {
      const place = `${kind} ${namespace}/${name}`
      const [from, to] = [
        change === 'added' ? '/dev/null' : place,
        change === 'removed' ? '/dev/null' : place,
      ]
      return `--- ${from}\n+++ ${to}\n${painted(diff, paint)}`
    })
    .join('')
}

function painted(diff: string, paint: Paint): string {
  return diff.replaceAll(/^([-+@]).*$/gm, (line, mark: keyof typeof STYLES) => paint(STYLES[mark], line))
}

export const diff = onCluster(clusterDiff)
