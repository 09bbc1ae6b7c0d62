/**
 * Whether somebody else changed what we applied. The document is kept in an annotation, and only its own leaves are
 * compared: defaults of the server, injected containers and the annotation of `kubectl rollout restart` are no drift.
 */
import { isDeeperThan, MAX_LEVELS } from '../../crd/depth.ts'
import { APPLIED } from '../../crd/labels.ts'
import { parseMilliQuantity } from '../../crd/quantity.ts'
import { isFields, itemsOf, quantityOf, type Fields } from '../../crd/view.ts'
import { canonicalJson } from '../canonical-json.ts'
import { isKeyedList, listKey } from './list-keys.ts'
import { jsonIn } from './observe-fields.ts'
import type { KubeObject } from './types.ts'

/** All annotations of an object may have 256 KiB; beyond this the document is not kept, and drift is not seen. */
const MAX_APPLIED_CHARS = 160 * 1024
/** A pod template as deep as a resource may have one, and what is around it. */
const MAX_APPLIED_LEVELS = MAX_LEVELS + 8
/** Server-made fields of metadata: never ours to compare. */
const SERVER_META = ['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields']
const QUANTITY_FIELDS = new Set(['requests', 'limits'])

/** The same object with itself in an annotation, without that annotation. Doing it twice changes nothing. */
export function withApplied<T extends KubeObject>(object: T): T {
  const bare = withoutServerMeta(object)
  const text = canonicalJson(bare)
  if (text.length > MAX_APPLIED_CHARS)
    return { ...object, metadata: { ...object.metadata, annotations: bare.metadata.annotations } }
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...bare.metadata.annotations, [APPLIED]: text } },
  }
}

/**
 * The document that was applied last; undefined when it was never kept, or somebody wrote nonsense into it. It is written
 * again with the controller's rights, and anybody who may edit the object may edit the annotation: a document of another
 * object is none.
 */
export function appliedOf(live: KubeObject): KubeObject | undefined {
  const text = live.metadata.annotations?.[APPLIED]
  if (text === undefined || text.length > MAX_APPLIED_CHARS) return undefined
  const value = jsonIn(text)
  if (!isFields(value) || isDeeperThan(value, MAX_APPLIED_LEVELS) || !isFields(value['metadata']))
    return undefined
  const document = value as unknown as KubeObject
  return isOfSameObject(document, live) ? document : undefined
}

function isOfSameObject(a: KubeObject, b: KubeObject): boolean {
  return (
    a.apiVersion === b.apiVersion &&
    a.kind === b.kind &&
    a.metadata.name === b.metadata.name &&
    a.metadata.namespace === b.metadata.namespace
  )
}

/** Paths of the leaves of `applied` that `live` has otherwise: `spec.template.spec.containers[app].image`. */
export function driftOf(live: KubeObject, applied: KubeObject): readonly string[] {
  // A list gives its items without kind and apiVersion.
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = applied
  return differences(live, rest, '', '', false)
}

function withoutServerMeta({ metadata, ...rest }: KubeObject): KubeObject {
  const { annotations = {}, ...meta } = metadata
  const { [APPLIED]: _applied, ...others } = annotations
  const kept = Object.entries(meta).filter(([key]) => !SERVER_META.includes(key))
  return {
    ...rest,
    metadata: {
      ...Object.fromEntries(kept),
      ...(Object.keys(others).length === 0 ? {} : { annotations: others }),
    },
  } as unknown as KubeObject
}

/** `field` is the name that a list or leaf has; items of a list carry that of the list. */
function differences(
  live: unknown,
  applied: unknown,
  path: string,
  field: string,
  quantity: boolean,
): readonly string[] {
  if (isFields(applied))
    return isFields(live) || isEmpty(applied)
      ? inFields(live, applied, path, quantity || QUANTITY_FIELDS.has(field))
      : [path]
  if (Array.isArray(applied) && isKeyedList(field)) return inKeyedList(live, applied, path, field)
  if (Array.isArray(applied)) return inList(live, applied, path)
  return sameLeaf(live, applied, quantity || field === 'sizeLimit') ? [] : [path]
}

function inFields(live: unknown, applied: Fields, path: string, quantity: boolean): readonly string[] {
  const there = isFields(live) ? live : {}
  return Object.entries(applied).flatMap(([key, value]) =>
    differences(Object.hasOwn(there, key) ? there[key] : undefined, value, below(path, key), key, quantity),
  )
}

function inKeyedList(
  live: unknown,
  applied: readonly unknown[],
  path: string,
  field: string,
): readonly string[] {
  const there = new Map(itemsOf(live).map((item) => [listKey(field, item), item]))
  return applied.flatMap((item) => {
    const key = listKey(field, item)
    const place = `${path}[${key ?? ''}]`
    const other = there.get(key)
    return other === undefined ? [place] : differences(other, item, place, '', false)
  })
}

/** A list without keys is one value: its length and order count. */
function inList(live: unknown, applied: readonly unknown[], path: string): readonly string[] {
  const there = itemsOf(live)
  if (there.length !== applied.length) return [path]
  return applied.flatMap((item, index) => differences(there[index], item, `${path}[${index}]`, '', false))
}

/** The server leaves out what has its type's zero value: `value: ''`, `readOnly: false`. */
function sameLeaf(live: unknown, applied: unknown, quantity: boolean): boolean {
  if (live === applied) return true
  if (live === undefined) return applied === '' || applied === false || applied === 0 || applied === null
  if (!quantity) return false
  const [a, b] = [live, applied].map((value) => {
    const text = quantityOf(value)
    return text === undefined ? undefined : parseMilliQuantity(text)
  })
  return a !== undefined && a === b
}

function isEmpty(fields: Fields): boolean {
  return Object.keys(fields).length === 0
}

function below(path: string, key: string): string {
  const plain = /^[A-Za-z_][-A-Za-z0-9_]*$/.test(key)
  if (!plain) return `${path}["${key}"]`
  return path === '' ? key : `${path}.${key}`
}
