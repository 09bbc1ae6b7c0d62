/**
 * Careful readers of what an API server sent: anything may be missing or of another type, texts are bounded and made
 * printable, and nothing but the few values that planning needs is kept (10,000 apps have 30,000 children).
 */
import { APP_LABEL, KIND, MANAGED_BY, MANAGED_BY_LABEL } from '../../crd/labels.ts'
import { fieldsOf, isFields, itemsOf, type Fields } from '../../crd/view.ts'
import { printable } from '../../errors.ts'
import type { ChildKind, KubeObject, ObservedObject } from './types.ts'

/** Names, uids and labels: what the API server itself allows. */
const NAME_CHARS = 253
/** Sentences of kubelets, schedulers and controllers. */
const MESSAGE_CHARS = 400

/** One word or name; undefined when it is missing or empty. */
export function wordAt(fields: Fields, key: string): string | undefined {
  const value = fields[key]
  return typeof value === 'string' && value !== '' ? printable(value, NAME_CHARS) : undefined
}

/** A sentence for people; undefined when it is missing or empty. */
export function sentenceAt(fields: Fields, key: string): string | undefined {
  const value = fields[key]
  if (typeof value !== 'string') return undefined
  const text = printable(value.trim(), MESSAGE_CHARS)
  return text === '' ? undefined : text
}

/** A count; 0 when it is missing, negative or no whole number. */
export function countAt(fields: Fields, key: string): number {
  const value = fields[key]
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0
}

/** Milliseconds since the epoch of an RFC 3339 time; undefined when it is none. */
export function timeAt(fields: Fields, key: string): number | undefined {
  const value = fields[key]
  const atMs = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(atMs) ? undefined : atMs
}

/** Members that are objects; what is none is left out. */
export function listAt(fields: Fields, key: string): readonly Fields[] {
  return itemsOf(fields[key]).filter(isFields)
}

/** The condition of `type`, {} when there is none. */
export function conditionOf(status: Fields, type: string): Fields {
  return listAt(status, 'conditions').find((condition) => condition['type'] === type) ?? {}
}

/** Members of a map that are texts, with keys as they are. */
export function textsOf(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fieldsOf(value)).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
}

/** JSON in an annotation; undefined when it is missing or none. */
export function jsonIn(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

export interface Metadata {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly owners: readonly Fields[]
}

export function metadataOf(object: KubeObject): Metadata {
  const metadata = fieldsOf(object.metadata)
  return {
    labels: textsOf(metadata['labels']),
    annotations: textsOf(metadata['annotations']),
    owners: listAt(metadata, 'ownerReferences'),
  }
}

/** What all children have; undefined when the object is of another kind or has no name or uid. */
export function observedObject<Kind extends ChildKind>(
  object: KubeObject,
  kinds: readonly Kind[],
): (ObservedObject & { readonly kind: Kind }) | undefined {
  const kind = kinds.find((known) => known === object.kind)
  const metadata = fieldsOf(object.metadata)
  const name = wordAt(metadata, 'name')
  const uid = wordAt(metadata, 'uid')
  if (kind === undefined || name === undefined || uid === undefined) return undefined
  const { labels } = metadataOf(object)
  const app = labels[APP_LABEL]
  const owner = ownerIn(object)
  const ownerName = owner === undefined ? undefined : wordAt(owner, 'name')
  return {
    kind,
    name,
    uid,
    resourceVersion: wordAt(metadata, 'resourceVersion') ?? '',
    ours: app !== undefined && labels[MANAGED_BY_LABEL] === MANAGED_BY,
    app: app === undefined ? undefined : printable(app, NAME_CHARS),
    ownerUid: owner === undefined ? undefined : wordAt(owner, 'uid'),
    ...(ownerName === undefined || ownerName === app ? {} : { otherOwner: ownerName }),
    deleting: metadata['deletionTimestamp'] !== undefined && metadata['deletionTimestamp'] !== null,
  }
}

/** uid of the ContainerApp that owns it, where one does. */
export function ownerUidIn(object: KubeObject): string | undefined {
  const owner = ownerIn(object)
  return owner === undefined ? undefined : wordAt(owner, 'uid')
}

function ownerIn(object: KubeObject): Fields | undefined {
  return metadataOf(object).owners.find((reference) => reference['kind'] === KIND)
}
