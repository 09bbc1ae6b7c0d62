/** Documents as the stores take them. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../crd/labels.ts'
import type { Documents } from '../crd/documents.ts'
import type { Submission } from '../engine/local/app-store.ts'
import type { SourceDocument } from '../engine/local/source-store.ts'
import type { InputApp } from './input-documents.ts'

/** Written by servers and by `status -o yaml`, never the user's words. */
const SERVER_FIELDS = [
  'generation',
  'resourceVersion',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'selfLink',
]

export function submissionOf({ app, baseDir }: InputApp): Submission {
  const { status, metadata, ...words } = app
  const ownMetadata = Object.fromEntries(
    Object.entries(metadata).filter(([name]) => !SERVER_FIELDS.includes(name)),
  )
  const annotations = openAnnotations(metadata.annotations, status?.lastHandledRequest)
  const { annotations: _all, ...others } = ownMetadata
  const next = annotations === undefined ? others : { ...others, annotations }
  return {
    key: { namespace: metadata.namespace, name: metadata.name },
    resource: { apiVersion: words.apiVersion, kind: words.kind, metadata: next, spec: words.spec },
    baseDir,
    status,
  }
}

/**
 * A request that the document's own status answers already is left out: on an empty state it would be asked again, and
 * the pin that the document brings along would be lost.
 */
function openAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  handled: string | undefined,
) {
  if (annotations === undefined || handled === undefined || annotations[RESOLVE_REQUESTED_AT] !== handled)
    return annotations
  const open = Object.entries(annotations).filter(
    ([name]) => name !== RESOLVE_REQUESTED_AT && name !== ROLLBACK_TO,
  )
  return open.length === 0 ? undefined : Object.fromEntries(open)
}

/** Secrets and ConfigMaps, all values in base64. */
export function sourceDocuments({
  secrets,
  configMaps,
}: Pick<Documents, 'secrets' | 'configMaps'>): readonly SourceDocument[] {
  return [
    ...secrets.map(({ metadata, type, data }) => ({
      kind: 'Secret' as const,
      ...nameOf(metadata),
      type,
      data,
    })),
    ...configMaps.map(({ metadata, data, binaryData }) => ({
      kind: 'ConfigMap' as const,
      ...nameOf(metadata),
      type: '',
      data: { ...binaryData, ...encoded(data) },
    })),
  ]
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }) {
  return { namespace, name }
}

function encoded(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'utf8').toString('base64')]),
  )
}
