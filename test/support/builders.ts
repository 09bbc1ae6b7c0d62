/** Ordinary values of the middle, as short as a test needs them: a test says only what is special about its case. */
import { parseApp } from '../../src/crd/app.ts'
import type { App } from '../../src/crd/types.ts'
import { formatIssue } from '../../src/errors.ts'
import { canonical, parseReference } from '../../src/image/reference.ts'
import type { Digest, ImageConfig, ResolvedImage } from '../../src/image/types.ts'
import type { Sources, StoredApp } from '../../src/reconcile/ports.ts'
import type { DesiredVolume, Observed, ObservedInstance, ObservedVolume } from '../../src/reconcile/types.ts'

export const KEY = { namespace: 'chat', name: 'mattermost' }
export const NOW_MS = Date.parse('2026-03-01T12:00:00.000Z')

type Fields = Readonly<Record<string, unknown>>

/** A parsed app named chat/mattermost; throws when `spec` is not valid, so that no test runs on nonsense. */
export function anApp(spec: Fields = {}, metadata: Fields = {}): App {
  const parsed = parseApp(aResource(spec, metadata), '')
  if ('issues' in parsed) throw new Error(parsed.issues.map(formatIssue).join('\n'))
  return parsed.app
}

/** The same as a submitted document. */
export function aResource(spec: Fields = {}, metadata: Fields = {}): Record<string, unknown> {
  return {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { ...KEY, ...metadata },
    spec: { image: 'example.com/mattermost:10.12', ...spec },
  }
}

/** As it is stored when it was just submitted. */
export function aStoredApp(key = KEY): StoredApp {
  return {
    key,
    baseDir: '/',
    generation: 1,
    resource: aResource({}, key),
    status: undefined,
    deletion: undefined,
  }
}

/** A digest of sixty-four equal pairs of hex digits: `digest('a1')`. */
export function digest(pair: string): Digest {
  return `sha256:${pair.repeat(32)}`
}

export function aConfig(changes: Partial<ImageConfig> = {}): ImageConfig {
  return {
    platform: { os: 'linux', architecture: 'amd64' },
    created: undefined,
    author: undefined,
    user: '',
    env: [],
    entrypoint: ['/app'],
    cmd: ['serve'],
    workingDir: '',
    volumes: [],
    exposedPorts: [],
    labels: {},
    stopSignal: undefined,
    diffIds: [],
    ...changes,
  }
}

export interface ImageChanges {
  readonly reference?: string
  /** Digest of the index; the manifest's is derived from it. */
  readonly digest?: Digest
  readonly manifestDigest?: Digest
  readonly config?: Partial<ImageConfig>
}

/** An image of one platform behind an index. */
export function anImage(changes: ImageChanges = {}): ResolvedImage {
  const reference = parseReference(changes.reference ?? 'example.com/mattermost:10.12')
  const pin = changes.digest ?? digest('a1')
  const manifestDigest = changes.manifestDigest ?? (`sha256:${pin.slice(-62)}0f` as Digest)
  const config = aConfig(changes.config)
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  return {
    reference,
    canonical: canonical(reference),
    digest: pin,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    platforms: [{ platform: config.platform, digest: manifestDigest }],
    manifestDigest,
    manifest: {
      mediaType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest('cf'), size: 2 },
      layers: [],
      annotations: {},
    },
    configDigest: digest('cf'),
    config,
    source: { kind: 'registry', host: 'example.com', mirror: false },
  }
}

/** Secrets and ConfigMaps by name, values as text. */
export function sources(
  secrets: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
  configMaps: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
): Sources {
  return { secret: lookupIn(secrets), configMap: lookupIn(configMaps) }
}

function lookupIn(objects: Readonly<Record<string, Readonly<Record<string, string>>>>) {
  return (name: string): Readonly<Record<string, Buffer>> | undefined => {
    const data = objects[name]
    if (data === undefined) return undefined
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]))
  }
}

/** A volume of the image at `path`, stored by us. */
export function aVolume(path: string, changes: Partial<DesiredVolume> = {}): DesiredVolume {
  return {
    path,
    destination: path,
    origin: 'Image',
    claimName: `claim${path.replaceAll('/', '-')}`,
    storage: { kind: 'own' },
    subPath: undefined,
    readOnly: false,
    exec: 'Required',
    seed: 'IfEmpty',
    retain: 'Retain',
    inImage: true,
    nested: [],
    ...changes,
  }
}

export function observed(changes: Partial<Observed> = {}): Observed {
  return { instances: [], volumes: [], execByPath: new Map(), ...changes }
}

export function anInstance(
  state: ObservedInstance['state'],
  changes: Partial<ObservedInstance> = {},
): ObservedInstance {
  const ran = state !== 'prepared'
  const startedAtMs = ran ? NOW_MS - 60_000 : undefined
  const termination =
    'termination' in changes
      ? changes.termination
      : state === 'ended'
        ? anEnd({ startedAtMs: NOW_MS - 60_000 })
        : undefined
  return {
    id: 'new',
    revision: 'new',
    digest: digest('a1'),
    state,
    run: ran ? 1 : 0,
    startedAtMs,
    termination,
    lastEnd: termination,
    failures: 0,
    restarts: 0,
    recorded: !ran,
    ...changes,
  }
}

/** An end with exit code 1, a second before now. */
export function anEnd(
  changes: Partial<NonNullable<ObservedInstance['termination']>> = {},
): NonNullable<ObservedInstance['termination']> {
  return {
    exitCode: 1,
    reason: 'Exited',
    message: 'ended with exit code 1',
    startedAtMs: NOW_MS - 60_000,
    finishedAtMs: NOW_MS - 1000,
    ...changes,
  }
}

export function aStoredVolume(path: string, changes: Partial<ObservedVolume> = {}): ObservedVolume {
  return {
    path,
    claimName: `claim${path.replaceAll('/', '-')}`,
    phase: 'Bound',
    seeded: true,
    retain: 'Retain',
    ...changes,
  }
}

/** Freezes a value all the way down, so that whoever writes into it is found out. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value))
    return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}
