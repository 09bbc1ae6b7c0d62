/** Why an app runs what it runs, in plain sentences. Pure. */
import { fieldsOf } from '../../crd/view.ts'
import { printable } from '../../errors.ts'
import type { ObservedWorkload } from '../../reconcile/kubernetes/types.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import { imageOf } from '../app-view.ts'
import { PLUGIN_PROGRAM } from './program-name.ts'

export interface ExplainSentences {
  readonly image: readonly string[]
  readonly running: readonly string[]
}

export function explainSentences(
  stored: StoredApp,
  workload: ObservedWorkload | undefined,
): ExplainSentences {
  return { image: imageSentences(stored), running: runningSentences(stored, workload) }
}

function imageSentences(stored: StoredApp): readonly string[] {
  const words = imageOf(stored)
  const image = stored.status?.image
  if (image === undefined) return [`${words} has not been resolved to a digest yet.`]
  const reference = printable(image.reference, 500)
  const at = image.source?.host ?? image.source?.path
  const where =
    at === undefined ? '' : ` by ${printable(at)}${image.source?.mirror === true ? ' (a mirror)' : ''}`
  const was = image.rollback?.reference
  const chosen =
    image.rollback === undefined
      ? `${reference} named ${image.digest} when it was resolved at ${image.resolvedAt}${where}.`
      : `Rolled back at ${image.resolvedAt} to ${image.digest}${was === undefined ? '' : `, which ${printable(was, 500)} named before`}; spec.image stays ${reference}.`
  return [
    chosen,
    ...(image.reference === fieldsOf(fieldsOf(stored.resource)['spec'])['image']
      ? [staysUntil(stored)]
      : [`spec.image says ${words} now, which has not been resolved yet; until then the old digest stays.`]),
    ...(image.availableDigest === undefined || image.availableDigest === image.digest
      ? []
      : [movedSentence(image.availableDigest, image.availableChanges, stored)]),
  ]
}

function movedSentence(digest: string, changes: string | undefined, stored: StoredApp): string {
  const what = changes === undefined ? '' : `: ${printable(changes, 1000)}`
  return `The tag names ${digest} meanwhile${what}; ${ask(stored)} moves to it.`
}

function staysUntil(stored: StoredApp): string {
  const policy = fieldsOf(fieldsOf(fieldsOf(stored.resource)['spec'])['imagePolicy'])['resolve']
  if (policy === 'Never') return 'spec.image names the digest itself, so nothing else can ever run.'
  if (policy === 'Interval') return 'It is resolved anew at every interval of spec.imagePolicy.'
  return `It stays until spec.image changes or somebody asks: ${ask(stored)}.`
}

/** In quotes, so that no line ends inside it. */
function ask({ key }: StoredApp): string {
  return `"${PLUGIN_PROGRAM} rebuild ${key.name} -n ${key.namespace}"`
}

function runningSentences(stored: StoredApp, workload: ObservedWorkload | undefined): readonly string[] {
  const suspended = fieldsOf(fieldsOf(stored.resource)['spec'])['suspend'] === true
  const first = suspended ? ['spec.suspend is true: no pod is wanted, everything else is kept.'] : []
  if (workload === undefined) return [...first, 'No workload has been made yet.']
  const { kind, name, revision, specReplicas, readyReplicas, digest } = workload
  const pods = specReplicas === 1 ? '1 pod' : `${specReplicas} pods`
  const pinned = stored.status?.image?.digest
  return [
    ...first,
    `${kind} ${name} wants ${pods} of revision ${printable(revision)}; ready: ${readyReplicas}.`,
    kind === 'StatefulSet'
      ? 'A volume has one writer, so the old pod is gone before the next one starts.'
      : 'No volume has a single writer, so the next pod is ready before the old one goes.',
    ...(pinned === undefined || digest === undefined || digest === pinned
      ? []
      : [`It still runs ${digest}; it moves to the new digest when that one is prepared.`]),
  ]
}
