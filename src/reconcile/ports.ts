/**
 * What the middle needs from the outside, seen from the middle: small interfaces, implemented by engines and stores.
 */
import type { App } from '../crd/types.ts'
import type { AppStatus } from '../crd/status.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import type { TagQuestion, TagState } from '../image/source.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { Issue } from '../errors.ts'
import type { AppKey } from './names.ts'
import type { BackoffPolicy } from './backoff.ts'
import type { RevisionBasis, Desired, Observed, Plan, Step } from './types.ts'

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
  /**
   * Whether the app that was read is still there, and wanted: one that was deleted, or made anew under its name, is not.
   * Absent where a pass always ends what it began, since its steps belong together (stop, then start).
   */
  isWanted?(stored: StoredApp): boolean
  /** Forgets resource and status, after everything else is gone. */
  remove(key: AppKey): Promise<void>
}

/** Secrets and ConfigMaps of one namespace as the app may see them. */
export interface Sources {
  secret(name: string): Readonly<Record<string, Buffer>> | undefined
  configMap(name: string): Readonly<Record<string, Buffer>> | undefined
  /** The node resolves them: their absence here says nothing. */
  readonly deferred?: true
}

/** An image whose merged tree is there, whole and verified. */
export interface PreparedImage {
  readonly image: ResolvedImage
  /** Answers nothing where layers could not be read: `warnings` then says that checks were not made. */
  readonly tree: FileTree
  /** Host folder of the merged tree; '' where the engine keeps none. */
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
  head(app: App, stored: StoredApp, signal: AbortSignal, question?: TagQuestion): Promise<TagState>
}

/** Beside `Images`: for noticing that a pinned digest is about to be lost. */
export interface ImagePresence {
  /**
   * Whether the place that the app's reference names still has the digest. Throws where that can't be told: an outage
   * or a refusal says nothing.
   */
  holds(app: App, stored: StoredApp, digest: Digest, signal: AbortSignal): Promise<boolean>
}

/** What an engine's plan is made from: what is wanted, or what is known of it when it could not be made. */
export interface PlanInput<Observation> {
  readonly key: AppKey
  readonly stored: StoredApp
  readonly observed: Observation
  readonly backoff: BackoffPolicy
  readonly nowMs: number
}

/**
 * An engine as a pass sees it. `Observation` and `Action` are its own; the plans are pure functions of what they are
 * given.
 */
export interface Engine<
  Observation extends Observed = Observed,
  Action extends { readonly kind: string } = Step,
> {
  /** Fields of the resource that this engine can't honour, refused or reported (invariant 11). */
  support(app: App): readonly Issue[]
  /** Every Secret and ConfigMap that the app's container sees. */
  sources(app: App): Promise<Sources>
  /** What the revision is taken from, where it is not what `desiredState` takes by itself. */
  revisionBasis?(app: App, image: ResolvedImage): RevisionBasis
  observe(key: AppKey): Promise<Observation>
  /** Checks that need the host or the volumes as they are now: hooks, entrypoint, mount flags. All issues at once. */
  check(desired: Desired, prepared: PreparedImage): Promise<readonly Issue[]>
  /** The plan when nothing has to be rendered anew, although the image is not looked at; undefined: go the long way. */
  planSettled?(input: PlanInput<Observation>, app: App, pin: Digest): Plan<Action> | undefined
  planTowards(input: PlanInput<Observation>, desired: Desired): Plan<Action>
  /** The new revision could not be made: what ran last goes on (rules R7, H7). */
  planKeepLast(input: PlanInput<Observation>, running: boolean): Plan<Action>
  /** The app ends by the user's word. */
  planRemoval(observed: Observation, allVolumes: boolean): readonly Action[]
  /** Does one step; `desired` is undefined while only the last revision is kept alive. */
  execute(
    key: AppKey,
    step: Action,
    desired: Desired | undefined,
    prepared: PreparedImage | undefined,
  ): Promise<void>
  /** Id of the instance that `desired` leads to. */
  targetId(desired: Desired): string
  /** The same for a settled app: what was rendered last. Comes with `planSettled`. */
  settledTargetId?(key: AppKey, observed: Observation): string | undefined
  /** Addresses where the app's ports can be reached. */
  addresses(app: App, observed: Observation): readonly string[]
}
