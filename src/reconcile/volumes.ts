/**
 * Which volumes an app has: every VOLUME of its image, every entry of `spec.volumes`, merged by normalised path, with
 * the image's symlinks resolved (rules V1–V3, V8, V9). Pure.
 */
import type { App, VolumeSpec } from '../crd/types.ts'
import { parseQuantity } from '../crd/quantity.ts'
import type { ImageConfig } from '../image/types.ts'
import { declaredVolumes, normaliseVolumePath } from '../image/volumes.ts'
import { toBytes, toText } from '../image/bytes.ts'
import { resolvePath } from '../rootfs/lookup.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { Issue } from '../errors.ts'
import { claimName } from './names.ts'
import type { DesiredVolume, VolumeStorage } from './types.ts'

export interface VolumesResult {
  readonly volumes: readonly DesiredVolume[]
  readonly issues: readonly Issue[]
}

interface Wanted {
  readonly path: string
  readonly origin: 'Image' | 'Spec'
  readonly spec: VolumeSpec | undefined
  readonly field: string
}

export function desiredVolumes(app: App, config: ImageConfig, tree: FileTree): VolumesResult {
  const declared = declaredVolumes(config)
  const issues: Issue[] = [...declared.warnings]
  const wanted = new Map<string, Wanted>()
  for (const path of declared.volumes) wanted.set(path, { path, origin: 'Image', spec: undefined, field: `VOLUME ${path}` })
  for (const [index, spec] of (app.spec.volumes ?? []).entries()) {
    const normal = normaliseVolumePath(spec.path)
    if (!('path' in normal)) continue
    const origin = wanted.has(normal.path) ? 'Image' : 'Spec'
    wanted.set(normal.path, { path: normal.path, origin, spec, field: `spec.volumes[${index}].path` })
  }
  const volumes: DesiredVolume[] = []
  for (const entry of [...wanted.values()].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const place = placeInTree(entry, tree, storageOf(entry.spec, app), issues)
    if (place !== undefined) volumes.push(desiredVolume(app, entry, place))
  }
  return { volumes: withNesting(withoutTwins(volumes)), issues }
}

interface Place {
  readonly destination: string
  readonly inImage: boolean
}

/** Resolves the mount point inside the tree; what is there must be a folder, or nothing at all. */
function placeInTree(entry: Wanted, tree: FileTree, storage: VolumeStorage, issues: Issue[]): Place | undefined {
  const problem = (reason: Issue['reason'], message: string) => {
    issues.push({ severity: 'error', reason, path: entry.field, message })
    return undefined
  }
  const found = resolvePath(tree, toBytes(entry.path), { allowMissing: true })
  if ('problem' in found) {
    return problem('VolumePathInvalid', `${entry.path} cannot be reached inside the image: ${found.problem} at ${toText(found.at)}`)
  }
  const destination = `/${found.names.map(toText).join('/')}`
  const normal = normaliseVolumePath(destination)
  if (!('path' in normal)) {
    return problem('VolumePathInvalid', `${entry.path} leads to ${destination} inside the image, where no volume can be mounted`)
  }
  const singleFile = (storage.kind === 'configMap' || storage.kind === 'secret') && entry.spec?.source?.subPath !== undefined
  if (found.node !== undefined && found.node.type !== 'directory' && !singleFile) {
    return problem('VolumeNotDirectory', `${destination} is a ${found.node.type} in the image; a volume needs a folder there, or nothing`)
  }
  return { destination, inImage: found.node?.type === 'directory' }
}

function desiredVolume(app: App, entry: Wanted, place: Place): DesiredVolume {
  const spec = entry.spec
  const defaults = app.spec.volumeDefaults
  const storage = storageOf(spec, app)
  const fromSource = storage.kind === 'hostPath' || storage.kind === 'configMap' || storage.kind === 'secret'
  return {
    path: entry.path,
    destination: place.destination,
    origin: entry.origin,
    claimName: storage.kind === 'claim' ? storage.claimName : claimName(app.metadata.name, entry.path),
    storage,
    subPath: spec?.source?.subPath,
    readOnly: spec?.readOnly ?? defaults?.readOnly ?? false,
    exec: spec?.exec ?? defaults?.exec ?? 'Required',
    // A source is the user's own data: seeding it would write into what they brought.
    seed: fromSource ? 'Never' : (spec?.seed ?? defaults?.seed ?? 'IfEmpty'),
    retain: spec?.retain ?? defaults?.retain ?? 'Retain',
    inImage: place.inImage,
    nested: [],
  }
}

function storageOf(spec: VolumeSpec | undefined, app: App): VolumeStorage {
  const source = spec?.source
  if (source?.claimName !== undefined) return { kind: 'claim', claimName: source.claimName }
  if (source?.hostPath !== undefined) return { kind: 'hostPath', path: source.hostPath.path }
  if (source?.configMap !== undefined) {
    return { kind: 'configMap', name: source.configMap.name, optional: source.configMap.optional ?? false, mode: source.configMap.defaultMode }
  }
  if (source?.secret !== undefined) {
    return { kind: 'secret', name: source.secret.secretName, optional: source.secret.optional ?? false, mode: source.secret.defaultMode }
  }
  if ((spec?.medium ?? app.spec.volumeDefaults?.medium) === 'Memory') {
    const size = spec?.size === undefined ? undefined : parseQuantity(String(spec.size))
    return { kind: 'memory', sizeBytes: size === undefined ? undefined : Number(size) }
  }
  return { kind: 'own' }
}

/** Two declared paths that lead to one folder are one volume: the spec's word wins, then the shortest path (rule V3). */
function withoutTwins(volumes: readonly DesiredVolume[]): DesiredVolume[] {
  const byDestination = new Map<string, DesiredVolume>()
  for (const volume of volumes) {
    const twin = byDestination.get(volume.destination)
    if (twin === undefined || (volume.path === volume.destination && twin.path !== twin.destination)) {
      byDestination.set(volume.destination, volume)
    }
  }
  return [...byDestination.values()].sort((a, b) => (a.destination < b.destination ? -1 : 1))
}

function withNesting(volumes: readonly DesiredVolume[]): DesiredVolume[] {
  return volumes.map((volume) => ({
    ...volume,
    nested: volumes.map((other) => other.destination).filter((destination) => destination.startsWith(`${volume.destination}/`)),
  }))
}
