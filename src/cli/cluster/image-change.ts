/** The image part of `kubectl fairlead diff`: what another digest changes in how the app runs. Its files are not read. */
import type { App } from '../../crd/types.ts'
import { ExpectedError, printable } from '../../errors.ts'
import { diffConfigs } from '../../image/config-diff.ts'
import { digestIn } from '../../image/digest.ts'
import type { ResolvedImage } from '../../image/types.ts'
import { writeSentences } from '../output.ts'
import { wrapText } from '../table.ts'
import { readDocuments, type ClusterExamineInput } from './examine.ts'
import { PLUGIN_PROGRAM } from './program-name.ts'

export interface ImageChange {
  readonly namespace: string
  readonly name: string
  /** As typed. */
  readonly reference: string
  /** Digests. */
  readonly from: string
  readonly to: string
  /** False: the tag has moved, and only asking takes it. */
  readonly taken: boolean
  /** In words; empty where they could not be read, or where only files change. */
  readonly changes: readonly string[]
}

/** What the controller goes over to; undefined while it stays at the pin, or for a first one. */
export async function takenChange(
  input: Omit<ClusterExamineInput, 'claims'>,
  image: ResolvedImage,
): Promise<ImageChange | undefined> {
  const { app } = input.document
  const pinned = app.status?.image
  const from = digestIn(pinned?.digest)
  if (pinned === undefined || from === undefined || from === image.digest) return undefined
  const { namespace, name } = app.metadata
  const change = { namespace, name, reference: app.spec.image, from, to: image.digest, taken: true }
  try {
    return { ...change, changes: diffConfigs(await readDocuments(input, pinned.reference, from), image) }
  } catch (error) {
    // The old image may be gone: what the new one brings is shown by the objects all the same.
    if (!(error instanceof ExpectedError)) throw error
    writeSentences(input.context, [
      `note: the image before could not be compared: ${printable(error.message, 500)}`,
    ])
    return { ...change, changes: [] }
  }
}

/** A tag that moved, as the controller has seen it; nothing is asked. */
export function availableChange({ metadata, spec, status }: App): ImageChange | undefined {
  const { digest, reference, availableDigest, availableChanges } = status?.image ?? {}
  if (digest === undefined || availableDigest === undefined || availableDigest === digest) return undefined
  if (reference !== spec.image) return undefined
  const { namespace, name } = metadata
  const changes = availableChanges === undefined ? [] : [availableChanges]
  return { namespace, name, reference: spec.image, from: digest, to: availableDigest, taken: false, changes }
}

/** Comments before the diffs of the objects, of which the image is a cause. */
export function imageText(images: readonly ImageChange[], width: number): string {
  const lines = images.flatMap(paragraphs).flatMap((line) => wrapText(line, width - 2))
  return lines.map((line) => `# ${line}\n`).join('')
}

function paragraphs({
  namespace,
  name,
  reference,
  from,
  to,
  taken,
  changes,
}: ImageChange): readonly string[] {
  const shown = printable(reference, 500)
  const words = changes.map((line) => printable(line, 1000))
  if (taken) return [`the image of ${namespace}/${name} becomes ${shown}, ${from} → ${to}`, ...words]
  const what = words.length === 0 ? '' : `: ${words.join(', ')}`
  return [`${shown} now is ${to}${what}; "${PLUGIN_PROGRAM} rebuild ${name} -n ${namespace}" takes it`]
}
