/**
 * Which volumes an app has: every VOLUME of its image, every entry of `spec.volumes`, merged by normalised path, with
 * the image's symlinks resolved (rules V1–V3, V8, V9). Pure.
 */
import type { App, VolumeSpec } from '../crd/types.ts'
import { parseQuantity } from '../crd/quantity.ts'
import { MAX_VOLUMES } from '../crd/schema/volumes.ts'
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
  if (config.volumes.length > MAX_VOLUMES) return { volumes: [], issues: [tooMany(config.volumes.length)] }
  const declared = declaredVolumes(config)
  const issues: Issue[] = [...declared.warnings]
  const wanted = new Map<string, Wanted>()
  for (const path of declared.volumes)
    wanted.set(path, { path, origin: 'Image', spec: undefined, field: `VOLUME ${path}` })
  for (const [index, spec] of (app.spec.volumes ?? []).entries()) {
    const normal = normaliseVolumePath(spec.path)
    if (!('path' in normal)) continue
    const origin = wanted.has(normal.path) ? 'Image' : 'Spec'
    wanted.set(normal.path, { path: normal.path, origin, spec, field: `spec.volumes[${index}].path` })
  }
  const placed = [...wanted.values()].flatMap((entry): Placed[] => {
    const place = placeInTree(entry, tree, storageOf(entry.spec, app), issues)
    return place === undefined ? [] : [{ ...entry, ...place, aliases: aliasesOf(entry, place) }]
  })
  const volumes = withoutTwins(placed, issues).map((entry) => desiredVolume(app, entry))
  return { volumes: withNesting(volumes.sort((a, b) => (a.destination < b.destination ? -1 : 1))), issues }
}

/** As many as a resource may name: each is storage that somebody pays for and that nobody deletes. */
function tooMany(count: number): Issue {
  const message = `the image declares ${count} volumes; at most ${MAX_VOLUMES} are made for an app`
  return { severity: 'error', reason: 'LimitExceeded', path: 'VOLUME', message }
}

interface Place {
  readonly destination: string
  readonly inImage: boolean
}

/** `aliases`: declared paths of the image that reach the folder by a link. */
type Placed = Wanted & Place & { readonly aliases: readonly string[] }

function aliasesOf({ path, origin }: Wanted, { destination }: Place): readonly string[] {
  return origin === 'Image' && path !== destination ? [path] : []
}

/** Resolves the mount point inside the tree; what is there must be a folder, or nothing at all. */
function placeInTree(
  entry: Wanted,
  tree: FileTree,
  storage: VolumeStorage,
  issues: Issue[],
): Place | undefined {
  const problem = (reason: Issue['reason'], message: string) => {
    issues.push({ severity: 'error', reason, path: entry.field, message })
    return undefined
  }
  const found = resolvePath(tree, toBytes(entry.path), { allowMissing: true })
  if ('problem' in found) {
    return problem(
      'VolumePathInvalid',
      `${entry.path} cannot be reached inside the image: ${found.problem} at ${toText(found.at)}`,
    )
  }
  const destination = `/${found.names.map(toText).join('/')}`
  const normal = normaliseVolumePath(destination)
  if (!('path' in normal)) {
    return problem(
      'VolumePathInvalid',
      `${entry.path} leads to ${destination} inside the image, where no volume can be mounted`,
    )
  }
  const singleFile =
    (storage.kind === 'configMap' || storage.kind === 'secret') && entry.spec?.source?.subPath !== undefined
  if (found.node !== undefined && found.node.type !== 'directory' && !singleFile) {
    return problem(
      'VolumeNotDirectory',
      `${destination} is a ${found.node.type} in the image; a volume needs a folder there, or nothing`,
    )
  }
  return { destination, inImage: found.node?.type === 'directory' }
}

function desiredVolume(app: App, entry: Placed): DesiredVolume {
  const spec = entry.spec
  const defaults = app.spec.volumeDefaults
  const storage = storageOf(spec, app)
  const fromSource = storage.kind === 'hostPath' || storage.kind === 'configMap' || storage.kind === 'secret'
  return {
    path: entry.path,
    destination: entry.destination,
    ...(entry.aliases.length === 0 ? {} : { aliases: entry.aliases }),
    origin: entry.origin,
    claimName: storage.kind === 'claim' ? storage.claimName : claimName(app.metadata.name, entry.path),
    storage,
    subPath: spec?.source?.subPath,
    readOnly: spec?.readOnly ?? defaults?.readOnly ?? false,
    exec: spec?.exec ?? defaults?.exec ?? 'Required',
    // A source is the user's own data: seeding it would write into what they brought.
    seed: fromSource ? 'Never' : (spec?.seed ?? defaults?.seed ?? 'IfEmpty'),
    // Storage that the user brought is theirs: no default of ours may ever give it up.
    retain: spec?.source === undefined ? (spec?.retain ?? defaults?.retain ?? 'Retain') : 'Retain',
    inImage: entry.inImage,
    nested: [],
  }
}

function storageOf(spec: VolumeSpec | undefined, app: App): VolumeStorage {
  const source = spec?.source
  if (source?.claimName !== undefined) return { kind: 'claim', claimName: source.claimName }
  if (source?.hostPath !== undefined) return { kind: 'hostPath', path: source.hostPath.path }
  if (source?.configMap !== undefined) {
    return {
      kind: 'configMap',
      name: source.configMap.name,
      optional: source.configMap.optional ?? false,
      mode: source.configMap.defaultMode,
    }
  }
  if (source?.secret !== undefined) {
    return {
      kind: 'secret',
      name: source.secret.secretName,
      optional: source.secret.optional ?? false,
      mode: source.secret.defaultMode,
    }
  }
  if ((spec?.medium ?? app.spec.volumeDefaults?.medium) === 'Memory') {
    const wanted = spec?.size ?? app.spec.volumeDefaults?.size
    const size = wanted === undefined ? undefined : parseQuantity(wanted)
    return { kind: 'memory', sizeBytes: size === undefined ? undefined : Number(size) }
  }
  return { kind: 'own' }
}

/**
 * Two declared paths that lead to one folder are one volume (rule V3), with what the spec says about either of them.
 * Its key is the path that needs no link, else the shortest.
 */
function withoutTwins(placed: readonly Placed[], issues: Issue[]): Placed[] {
  const byDestination = new Map<string, Placed>()
  for (const entry of placed.toSorted((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1))) {
    const twin = byDestination.get(entry.destination)
    if (twin?.spec !== undefined && entry.spec !== undefined) {
      const message = `${entry.path} and ${twin.path} lead to the same folder ${entry.destination} inside the image; keep one of them`
      issues.push({ severity: 'error', reason: 'MountConflict', path: entry.field, message })
    }
    byDestination.set(entry.destination, twin === undefined ? entry : merged(twin, entry))
  }
  return [...byDestination.values()]
}

function rank({ path, destination }: Placed): number {
  return path === destination ? 0 : path.length
}

function merged(first: Placed, second: Placed): Placed {
  const origin = first.origin === 'Image' ? first.origin : second.origin
  return {
    ...first,
    aliases: [...first.aliases, ...second.aliases],
    origin,
    spec: first.spec ?? second.spec,
    field: first.spec === undefined ? second.field : first.field,
  }
}

function withNesting(volumes: readonly DesiredVolume[]): DesiredVolume[] {
  return volumes.map((volume) => ({
    ...volume,
    nested: volumes
      .map((other) => other.destination)
      .filter((destination) => destination.startsWith(`${volume.destination}/`)),
  }))
}
