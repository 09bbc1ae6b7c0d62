/**
 * The document of a claim that is there already. What was decided when it was made is repeated as it is: a claim can
 * change nothing but its metadata and, upwards, its size; anything else the API server would refuse.
 */
import { VOLUME_PATH } from '../../crd/labels.ts'
import { normalizePath } from '../../crd/path.ts'
import type { App } from '../../crd/types.ts'
import { fieldsOf, itemsOf } from '../../crd/view.ts'
import type { Issue } from '../../errors.ts'
import { factAnnotations, hasNews, type VolumeFacts } from './seeded.ts'
import type { ClusterObserved, KubeObject, ObservedClaim, RenderedClaim } from './types.ts'

/**
 * Whether the claim is asked to grow, and whether its class can: a class that can't be read is tried. `shrink`: it is
 * asked for less than it has, which no storage can give.
 */
export type Growth = 'none' | 'grow' | 'refused' | 'shrink'

export function growthOf(
  rendered: RenderedClaim,
  seen: ObservedClaim,
  expandable: ClusterObserved['expandable'],
): Growth {
  if (seen.requestBytes === undefined) return 'none'
  if (rendered.sizeBytes < leastBytes(seen)) return 'shrink'
  if (rendered.sizeBytes <= seen.requestBytes) return 'none'
  // Only what is bound can grow; it is looked at again when it is.
  if (seen.phase !== 'Bound') return 'none'
  const name = seen.storageClassName ?? ''
  const known = expandable !== undefined && Object.hasOwn(expandable, name) ? expandable[name] : undefined
  return known === false ? 'refused' : 'grow'
}

/** The smallest size that may be asked for: what it has, also where more was asked for once and could not be given. */
export function leastBytes({ requestBytes = 0n, capacityBytes = requestBytes }: ObservedClaim): bigint {
  return capacityBytes < requestBytes ? capacityBytes : requestBytes
}

/** Whether the user named a size: another default of the operator changes no app that is there. */
export function isSizeAsked({ spec }: App, { volumes }: RenderedClaim): boolean {
  if (spec.volumeDefaults?.size !== undefined) return true
  const paths = volumes.map(({ path }) => path)
  return (spec.volumes ?? []).some(
    ({ path, size }) => size !== undefined && paths.includes(normalizePath(path)),
  )
}

/** Whether the claim must be written; sizes by `growth`. */
export function claimDiffers(
  rendered: RenderedClaim,
  seen: ObservedClaim,
  facts: VolumeFacts,
  growth: Growth,
): boolean {
  return (
    growth === 'grow' ||
    seen.retain !== rendered.retain ||
    rendered.volumes.some(({ path }) => !seen.paths.includes(path)) ||
    hasNews(rendered, seen, facts)
  )
}

/** The whole document that is to be applied: what an apply leaves out it would take away. */
export function claimDocument(
  rendered: RenderedClaim,
  seen: ObservedClaim | undefined,
  facts: VolumeFacts,
  growth: Growth,
): KubeObject {
  const { object } = rendered
  const annotations = {
    ...object.metadata.annotations,
    ...factAnnotations(rendered, seen, facts),
    [VOLUME_PATH]: JSON.stringify(allPaths(rendered, seen)),
  }
  return {
    ...object,
    metadata: { ...object.metadata, annotations },
    ...(seen === undefined ? {} : { spec: settledSpec(rendered, seen, growth) }),
  }
}

/** Settings that a claim of another age has and can't change: the user asked for something, so it is told. */
export function unheededFields(rendered: RenderedClaim, seen: ObservedClaim): readonly Issue[] {
  const spec = fieldsOf(rendered.object['spec'])
  const path = rendered.volumes[0]?.path ?? rendered.name
  const words: string[] = []
  if (typeof spec['storageClassName'] === 'string' && spec['storageClassName'] !== seen.storageClassName)
    words.push(`storageClassName ${seen.storageClassName ?? '(none)'}`)
  const asked = listWords(itemsOf(spec['accessModes']))
  if (asked !== '' && asked !== listWords(seen.accessModes))
    words.push(`accessModes ${seen.accessModes.join(', ')}`)
  return words.map((word) => ({
    severity: 'warning',
    reason: 'UnsupportedField',
    path,
    message: `claim ${seen.name} was made with ${word} and can't change; move the data to a new claim to have it otherwise`,
  }))
}

function listWords(items: readonly unknown[]): string {
  const words = items.filter((item) => typeof item === 'string')
  return words.toSorted((a, b) => (a < b ? -1 : 1)).join(', ')
}

/** A folder that nothing declares any more stays on the claim, so its path stays named (rule V10). */
function allPaths(rendered: RenderedClaim, seen: ObservedClaim | undefined): readonly string[] {
  const now = rendered.volumes.map(({ path }) => path)
  return [...now, ...(seen?.paths ?? []).filter((path) => !now.includes(path))]
}

function settledSpec(rendered: RenderedClaim, seen: ObservedClaim, growth: Growth) {
  const spec = fieldsOf(rendered.object['spec'])
  const size = growth === 'grow' ? rendered.sizeBytes : (seen.requestBytes ?? rendered.sizeBytes)
  return {
    accessModes: seen.accessModes,
    resources: { requests: { storage: sizeText(spec, rendered.sizeBytes, size) } },
    ...(seen.storageClassName === undefined ? {} : { storageClassName: seen.storageClassName }),
    ...(seen.dataSourceRef === undefined ? {} : { dataSourceRef: seen.dataSourceRef }),
  }
}

/** As the user wrote it where it is that size, else in bytes. */
function sizeText(spec: Readonly<Record<string, unknown>>, renderedBytes: bigint, bytes: bigint): string {
  const written = fieldsOf(fieldsOf(spec['resources'])['requests'])['storage']
  return typeof written === 'string' && bytes === renderedBytes ? written : bytes.toString()
}
