/** Opens a state folder: every store and the engine over it. Creates nothing by itself. */
import { resolve } from 'node:path'
import type { HostFacts } from '../../bundle/types.ts'
import type { App } from '../../crd/types.ts'
import { parseReference } from '../../image/reference.ts'
import type { ImageSource } from '../../image/source.ts'
import { BlobStore } from '../../registry/blob-store.ts'
import type { RegistrySession } from '../../registry/session.ts'
import { LocalAppStore } from './app-store.ts'
import { readConfig, type FairleadConfig } from './config.ts'
import { LocalEngine } from './engine.ts'
import { hostFacts } from './host.ts'
import { LocalImages, type OpenSource } from './image-store.ts'
import { InstanceStore } from './instance-store.ts'
import { DEFAULT_STATE_DIR, statePaths, type StatePaths } from './paths.ts'
import { runtimeFor, type Runtime, type RuntimeName } from './runtime.ts'
import { SourceStore } from './source-store.ts'
import { requireStateFolders } from './state-file.ts'
import { VolumeStore } from './volume-store.ts'

export interface OpenLocalOptions {
  readonly stateDir?: string | undefined
  readonly runtime?: RuntimeName | undefined
}

export interface LocalState {
  readonly paths: StatePaths
  readonly config: FairleadConfig
  readonly host: HostFacts
  readonly apps: LocalAppStore
  readonly sources: SourceStore
  readonly volumes: VolumeStore
  readonly blobs: BlobStore
  readonly images: LocalImages
  /** With the credentials that the app may use; the caller closes it. */
  readonly openSource: OpenSource
  /** How registries let themselves be asked, for metrics. */
  readonly registryReadings: () => ReturnType<RegistrySession['readings']>
  readonly instances: InstanceStore
  readonly engine: LocalEngine
  runtimeOf(name: RuntimeName): Runtime
}

/** `stateDir`, else FAIRLEAD_STATE, else /var/lib/fairlead. */
export function openLocal(options: OpenLocalOptions = {}): LocalState {
  const read = readConfig()
  const config = { ...read, runtime: options.runtime ?? read.runtime }
  const paths = statePaths(resolve(options.stateDir ?? process.env['FAIRLEAD_STATE'] ?? DEFAULT_STATE_DIR))
  requireStateFolders(paths)
  const host = hostFacts()
  const apps = new LocalAppStore(paths)
  const sources = new SourceStore(paths)
  const volumes = new VolumeStore(paths)
  const blobs = new BlobStore(paths.blobs)
  const { openSource, registryReadings } = sourceOpener(config, sources)
  const images = new LocalImages({ paths, config, blobs, now: Date.now, open: openSource })
  const engine = new LocalEngine({
    paths,
    host,
    runtime: config.runtime,
    hostHooks: config.hostHooks,
    apps,
    sources,
    volumes,
  })
  return {
    paths,
    config,
    host,
    apps,
    sources,
    volumes,
    blobs,
    images,
    openSource,
    registryReadings,
    instances: new InstanceStore(paths),
    engine,
    runtimeOf: (name) => runtimeFor(name, paths.runtime, host),
  }
}

/**
 * Registry code is loaded only when an image has to be asked for. One session serves all apps: connections, tokens (by
 * credential) and the pauses that a registry asked for.
 */
function sourceOpener(config: FairleadConfig, sources: SourceStore) {
  let session: RegistrySession | undefined
  const open = async (app: App, baseDir: string): Promise<ImageSource> => {
    const [{ openSource }, { appKeychain }, { RegistrySession }] = await Promise.all([
      import('../../registry/open.ts'),
      import('./keychain.ts'),
      import('../../registry/session.ts'),
    ])
    session ??= new RegistrySession()
    const keychain = await appKeychain(app, sources)
    const { registries, lenientLayouts } = config
    return openSource(parseReference(app.spec.image), {
      baseDir,
      registries,
      lenientLayouts,
      keychain,
      session,
    })
  }
  return { openSource: open, registryReadings: () => session?.readings() ?? [] }
}
