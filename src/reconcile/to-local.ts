/**
 * Renders what is wanted into what one host runs: the bundle's config.json and everything its mounts need. Pure; where
 * things lie on the host comes in as `LocalPlaces`.
 */
import type { ContainerMount, HostFacts, MountView } from '../bundle/types.ts'
import { renderSpec } from '../bundle/spec.ts'
import type { RuntimeSpec } from '../bundle/runtime-spec.ts'
import { workingDir } from '../bundle/process.ts'
import { runtimeHooks } from '../bundle/hooks.ts'
import { runnerMounts, runnerScript, type RunnerFiles } from '../bundle/hook-runner.ts'
import { toBytes, toText } from '../image/bytes.ts'
import { resolvePath } from '../rootfs/lookup.ts'
import type { FileTree } from '../rootfs/types.ts'
import { ExpectedError, printable, type Issue } from '../errors.ts'
import { APP_LABEL, IMAGE_DIGEST, IMAGE_REFERENCE, REVISION } from '../crd/labels.ts'
import { appId, instanceId } from './names.ts'
import type { Desired, DesiredVolume } from './types.ts'

export interface LocalPlaces {
  /** Host folder or file that is bound for a volume. */
  volumeSource(volume: DesiredVolume): string
  /** Host path of a file that the engine owns: hosts, hostname, resolv.conf. */
  engineFile(name: EngineFile): string
  readonly runner: RunnerFiles
  readonly bundleRootfs: string
}

export const ENGINE_FILES = ['hosts', 'hostname', 'resolv.conf'] as const
export type EngineFile = (typeof ENGINE_FILES)[number]

export interface RenderedLocal {
  readonly id: string
  readonly config: RuntimeSpec
  /** Content of the hook runner's script; undefined when the app has no startContainer hooks. */
  readonly hookScript: string | undefined
  /** Inside the image, without symlinks and `..`: it is made on the host, where both could lead anywhere. */
  readonly workingDir: string
  readonly warnings: readonly Issue[]
}

export function toLocal(
  desired: Desired,
  tree: FileTree,
  host: HostFacts,
  places: LocalPlaces,
): RenderedLocal {
  const id = instanceId(desired.key, desired.revision)
  const inner = desired.hooks.filter((hook) => hook.stage === 'startContainer')
  const cwd = resolvedWorkingDir(desired, tree)
  const rendered = renderSpec({
    config: desired.image.config,
    process: desired.process,
    identity: desired.identity,
    hostname: desired.key.name,
    mounts: [...volumeMounts(desired, places), ...(inner.length > 0 ? runnerMounts(places.runner) : [])],
    engineFiles: engineFiles(desired, tree, places),
    hooks: runtimeHooks(desired.hooks),
    limits: desired.limits,
    security: desired.security,
    cgroupsPath: `/fairlead/${id}`,
    network: 'host',
    annotations: annotationsOf(desired),
    host,
  })
  return {
    id,
    config: {
      ...rendered.spec,
      root: { path: places.bundleRootfs, readonly: desired.security.readOnlyRootFilesystem },
    },
    hookScript: inner.length === 0 ? undefined : runnerScript({ hooks: inner }),
    workingDir: cwd,
    warnings: rendered.warnings,
  }
}

function resolvedWorkingDir(desired: Desired, tree: FileTree): string {
  const wanted = workingDir(desired.image.config, desired.process, tree)
  const found = resolvePath(tree, toBytes(wanted), { allowMissing: true })
  if ('problem' in found)
    throw new ExpectedError(
      'WorkingDirInvalid',
      `the working directory ${printable(wanted)} cannot be reached in the image`,
      { path: 'spec.workingDir' },
    )
  return `/${found.names.map(toText).join('/')}`
}

/**
 * What rendering would leave out or clamp, for status and `check`: labels that drive runtimes, limits that the host
 * lacks. Nothing of it depends on where things lie.
 */
export function localWarnings(desired: Desired, tree: FileTree, host: HostFacts): readonly Issue[] {
  const nowhere = {
    volumeSource: () => '/',
    engineFile: () => '/',
    runner: { busybox: '/', script: '/', runDir: '/' },
    bundleRootfs: '/',
  }
  return toLocal(desired, tree, host, nowhere).warnings
}

/** The volumes as mounts, parents first (rule V8). */
export function volumeMounts(desired: Desired, places: Pick<LocalPlaces, 'volumeSource'>): ContainerMount[] {
  return desired.volumes.map((volume) => ({
    destination: volume.destination,
    source: places.volumeSource(volume),
    readOnly: volume.readOnly || volume.storage.kind === 'configMap' || volume.storage.kind === 'secret',
    exec: volume.exec !== 'Forbidden',
    label: `volume ${volume.path}`,
  }))
}

/** The volumes as the checks must see them: with what will be in them once they are seeded. */
export function volumeViews(desired: Desired, contentOf: (volume: DesiredVolume) => FileTree): MountView[] {
  return desired.volumes.map((volume) => ({
    destination: volume.destination,
    tree: contentOf(volume),
    noexec: volume.exec === 'Forbidden',
    label: `volume ${volume.path}`,
  }))
}

/**
 * /etc/hosts and its like, where the image has them as links: at the links' targets. A volume that the user mounts
 * there wins, as in Kubernetes.
 */
function engineFiles(desired: Desired, tree: FileTree, places: LocalPlaces): ContainerMount[] {
  const taken = new Set(desired.volumes.map(({ destination }) => destination))
  return ENGINE_FILES.flatMap((name) => {
    const found = resolvePath(tree, toBytes(`/etc/${name}`), { allowMissing: true })
    const usable = 'names' in found && (found.node === undefined || found.node.type === 'file')
    // A link to nowhere sensible (Debian's resolv.conf -> ../run/systemd/…) is mounted over at its own target.
    if (!usable) return []
    const destination = `/${found.names.map(toText).join('/')}`
    if (taken.has(destination)) return []
    return [
      { destination, source: places.engineFile(name), readOnly: false, exec: false, label: `/etc/${name}` },
    ]
  })
}

function annotationsOf(desired: Desired): Record<string, string> {
  return {
    [APP_LABEL]: appId(desired.key),
    [REVISION]: desired.revision,
    [IMAGE_REFERENCE]: desired.app.spec.image,
    [IMAGE_DIGEST]: desired.image.digest,
  }
}
