/**
 * What the middle needs from the outside, seen from the middle: small interfaces, implemented by engines and stores.
 */
import type { App } from '../crd/types.ts'
import type { AppStatus } from '../crd/status.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import type { TagState } from '../image/source.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { Issue } from '../errors.ts'
import type { AppKey } from './names.ts'
import type { Desired, Observed, Step } from './types.ts'

/** A submitted resource as stored: the user's words, and what we said about them last. */
export interface StoredApp {
  readonly key: AppKey
  /** Folder that relative `oci:` paths resolve against: where the resource's file was. */
  readonly baseDir: string
  /** The document as submitted; parsed anew on every pass, so that a damaged file is told, not trusted. */
  readonly resource: unknown
  /** Grows with every change of the spec, as Kubernetes' `metadata.generation`. */
  readonly generation: number
  readonly status: AppStatus | undefined
  /** Set by `down`: the app is to end. */
  readonly deletion: { readonly allVolumes: boolean } | undefined
}

export interface AppStore {
  list(): Promise<readonly AppKey[]>
  read(key: AppKey): Promise<StoredApp | undefined>
  writeStatus(key: AppKey, status: AppStatus): Promise<void>
  /** Forgets resource and status, after everything else is gone. */
  remove(key: AppKey): Promise<void>
}

/** Secrets and ConfigMaps of one namespace as the app may see them. */
export interface Sources {
  secret(name: string): Readonly<Record<string, Buffer>> | undefined
  configMap(name: string): Readonly<Record<string, Buffer>> | undefined
}

/** An image whose merged tree is there, whole and verified. */
export interface PreparedImage {
  readonly image: ResolvedImage
  readonly tree: FileTree
  /** Host folder of the merged tree. */
  readonly rootfsDir: string
  readonly warnings: readonly Issue[]
}

export interface Images {
  /** Asks the source. With `pin`, exactly that digest. */
  resolve(app: App, stored: StoredApp, pin: Digest | undefined, signal: AbortSignal): Promise<ResolvedImage>
  /** What is already here for a pinned digest, without any network; undefined when bytes are missing. */
  recall(app: App, stored: StoredApp, digest: Digest): Promise<ResolvedImage | undefined>
  /** Pulls and flattens what is missing. */
  prepare(app: App, stored: StoredApp, image: ResolvedImage, signal: AbortSignal): Promise<PreparedImage>
  /** What the tag points at now; for noticing a moved tag. */
  head(app: App, stored: StoredApp, signal: AbortSignal): Promise<TagState>
}

export interface Engine {
  /** Every Secret and ConfigMap that the app's container sees. */
  sources(app: App): Promise<Sources>
  observe(key: AppKey): Promise<Observed>
  /** Checks that need the host or the volumes as they are now: hooks, entrypoint, mount flags. All issues at once. */
  check(desired: Desired, prepared: PreparedImage): Promise<readonly Issue[]>
  /** Does one step; `desired` is undefined while only the last revision is kept alive. */
  execute(
    key: AppKey,
    step: Step,
    desired: Desired | undefined,
    prepared: PreparedImage | undefined,
  ): Promise<void>
  /** Addresses where the app's ports can be reached. */
  addresses(desired: Desired): readonly string[]
}
