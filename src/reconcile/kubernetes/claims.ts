/**
 * The claims of an app: one for each path, or one with a folder for each. Names depend on app and path alone, so that a
 * resource that was deleted and applied again finds its data (invariant 2).
 */
import { parseQuantity } from '../../crd/quantity.ts'
import { normalizePath } from '../../crd/path.ts'
import { VOLUME_LABEL, VOLUME_PATH } from '../../crd/labels.ts'
import type { App, VolumeSpec } from '../../crd/types.ts'
import { invariant, printable, type Issue } from '../../errors.ts'
import { claimName, volumePathHash } from '../names.ts'
import type { Desired, DesiredVolume } from '../types.ts'
import { overlayClaims } from './brought-claims.ts'
import { isForManyWriters } from './claim-uses.ts'
import { compactFields, kubeObject } from './compact.ts'
import { childLabels, ownerReferences } from './metadata.ts'
import { KEEP_FROM_PRUNING } from './pruning.ts'
import type { RenderedClaim } from './types.ts'

/** Fields that are decided when a claim is made. */
const CLAIM_FIELDS = ['size', 'storageClassName', 'accessModes', 'dataSourceRef'] as const
const DEFAULT_MODES = ['ReadWriteOnce']

/** Where a volume's bytes are. `subPath` is a folder inside the claim; '' is its root. */
export interface ClaimPlace {
  readonly claimName: string
  readonly subPath: string
}

/** Access modes of claims that the user brought, by claim name; one that is not in it counts as made for one writer. */
export type ClaimModes = Readonly<Record<string, readonly string[]>>

/** The claim of a volume, ours or the user's; undefined where it has none. */
export function claimPlace(app: App, volume: DesiredVolume): ClaimPlace | undefined {
  const { storage, path, subPath = '' } = volume
  if (storage.kind === 'claim') return { claimName: storage.claimName, subPath }
  if (storage.kind !== 'own') return undefined
  return isOneClaim(app)
    ? { claimName: claimName(app.metadata.name, ''), subPath: claimName('', path).replace(/^-/, '') }
    : { claimName: volume.claimName, subPath: '' }
}

export function renderClaims(desired: Desired, defaultSize: string): readonly RenderedClaim[] {
  const own = desired.volumes.filter(({ storage }) => storage.kind === 'own')
  if (own.length === 0) return []
  if (isOneClaim(desired.app)) return [renderClaim(desired, own, defaultSize)]
  return own.map((volume) => renderClaim(desired, [volume], defaultSize))
}

/** Storage of the app that two containers which write at a time would destroy (DESIGN §6). */
export interface SingleWriter {
  /** In a sentence: `volume /data`. */
  readonly what: string
  /** What would make it storage for several, in a sentence. */
  readonly remedy: string
}

/** The first of the app's volumes, then of those that its pod template adds; undefined: all are for several. */
export function singleWriter(desired: Desired, claimModes: ClaimModes): SingleWriter | undefined {
  const volume = desired.volumes.find(({ storage, readOnly, path }) => {
    if (storage.kind === 'claim') return !isForSeveral(modesIn(claimModes, storage.claimName), readOnly)
    return storage.kind === 'own' && !isForSeveral(claimWish(desired.app, path).accessModes, readOnly)
  })
  if (volume !== undefined)
    return {
      what: `volume ${volume.path}`,
      remedy: 'give it accessModes: [ReadWriteMany] (and a storage class that has it)',
    }
  const name = overlayClaims(desired.app.spec.podTemplate).find(
    (claim) => claim.readOnly === undefined && !isForSeveral(modesIn(claimModes, claim.name), false),
  )?.name
  return name === undefined
    ? undefined
    : {
        what: `claim ${printable(name)} of podTemplate`,
        remedy: 'take a claim with accessModes [ReadWriteMany], or mount it with readOnly: true',
      }
}

function modesIn(claimModes: ClaimModes, name: string): readonly string[] {
  return (Object.hasOwn(claimModes, name) ? claimModes[name] : undefined) ?? []
}

function isForSeveral(modes: readonly string[], readOnly: boolean): boolean {
  const onMany = modes.every((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany')
  return isForManyWriters(modes) || (onMany && modes.includes('ReadOnlyMany') && readOnly)
}

/**
 * An entry of `spec.volumes` whose path is a link in the image to the folder of another path: its mount is honoured
 * there, but which claim to make would be a guess.
 */
export function unmatchedVolumes({ app, volumes }: Desired): readonly Issue[] {
  const paths = new Set(volumes.map(({ path }) => path))
  return (app.spec.volumes ?? []).flatMap((entry, index): Issue[] => {
    const [field] = CLAIM_FIELDS.filter((name) => entry[name] !== undefined)
    if (field === undefined || entry.source !== undefined || paths.has(normalizePath(entry.path))) return []
    return [
      {
        severity: 'error',
        reason: 'VolumePathInvalid',
        path: `spec.volumes[${index}].path`,
        message: `leads by a link inside the image to a folder that has another path already, so ${field} would be lost; write the path without the link`,
      },
    ]
  })
}

function isOneClaim(app: App): boolean {
  return app.spec.volumeDefaults?.layout === 'OneClaim'
}

interface ClaimWish {
  readonly size: string | number | undefined
  readonly storageClassName: string | undefined
  readonly accessModes: readonly string[]
  readonly dataSourceRef: VolumeSpec['dataSourceRef']
}

/** With one claim for all paths the defaults alone shape it; a rule of the resource says so. */
function claimWish(app: App, path: string): ClaimWish {
  const defaults = app.spec.volumeDefaults
  const entry = isOneClaim(app)
    ? undefined
    : app.spec.volumes?.find((volume) => normalizePath(volume.path) === path)
  return {
    size: entry?.size ?? defaults?.size,
    storageClassName: entry?.storageClassName ?? defaults?.storageClassName,
    accessModes: entry?.accessModes ?? defaults?.accessModes ?? DEFAULT_MODES,
    dataSourceRef: entry?.dataSourceRef,
  }
}

function renderClaim(
  desired: Desired,
  volumes: readonly DesiredVolume[],
  defaultSize: string,
): RenderedClaim {
  const { app } = desired
  const placed = volumes.map((volume) => ({ path: volume.path, ...placeOf(app, volume) }))
  const [first] = placed
  const [volume] = volumes
  invariant(first !== undefined && volume !== undefined, 'a claim has a volume')
  const wish = claimWish(app, volume.path)
  const size = String(wish.size ?? defaultSize)
  const sizeBytes = parseQuantity(size)
  invariant(sizeBytes !== undefined, `${size} is a quantity`)
  // One word for keeping is enough: data of two paths can't be kept and deleted on one claim.
  const retain = volumes.some((each) => each.retain === 'Retain') ? 'Retain' : 'Delete'
  return {
    name: first.claimName,
    volumes: placed.map(({ path, subPath }) => ({ path, subPath })),
    object: kubeObject(
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
      claimMetadata(app, first.claimName, volumes, retain),
      claimSpec(wish, size),
    ),
    retain,
    sizeBytes,
  }
}

function placeOf(app: App, volume: DesiredVolume): ClaimPlace {
  const place = claimPlace(app, volume)
  invariant(place !== undefined, `${volume.path} is on a claim`)
  return place
}

function claimMetadata(
  app: App,
  name: string,
  volumes: readonly DesiredVolume[],
  retain: 'Retain' | 'Delete',
) {
  const key = isOneClaim(app) ? '' : (volumes[0]?.path ?? '')
  return {
    name,
    namespace: app.metadata.namespace,
    labels: { ...childLabels(app.metadata.name, 'volume'), [VOLUME_LABEL]: volumePathHash(key) },
    annotations: {
      [VOLUME_PATH]: JSON.stringify(volumes.map(({ path }) => path)),
      ...(retain === 'Retain' ? KEEP_FROM_PRUNING : {}),
    },
    // By the user's word the claim goes with the resource; nothing else of ours ever owns data.
    ownerReferences: retain === 'Delete' ? ownerReferences(app, false) : [],
  }
}

function claimSpec(wish: ClaimWish, size: string) {
  const { apiGroup, kind, name, namespace } =
    wish.dataSourceRef ?? ({} as Partial<NonNullable<VolumeSpec['dataSourceRef']>>)
  return compactFields({
    accessModes: wish.accessModes,
    resources: { requests: { storage: size } },
    storageClassName: wish.storageClassName,
    dataSourceRef: { apiGroup, kind, name, namespace },
  })
}
