/**
 * Images of a cluster's apps: resolved and checked here, pulled by the nodes. Nothing is written to disk; what is
 * remembered is bounded by bytes and can be thrown away at any time.
 */
import type { App } from '../../../crd/types.ts'
import { canonical } from '../../../image/reference.ts'
import type { ImageSource, TagQuestion, TagState } from '../../../image/source.ts'
import type { Digest, Platform, RegistryReference, ResolvedImage } from '../../../image/types.ts'
import { formatPlatform } from '../../../image/platform.ts'
import { clusterLayerIssues } from '../../../reconcile/layer-issues.ts'
import { appId, type AppKey } from '../../../reconcile/names.ts'
import type { ImagePresence, Images, PreparedImage, StoredApp } from '../../../reconcile/ports.ts'
import { combineKeychains } from '../../../registry/keychain.ts'
import { RegistrySession } from '../../../registry/session.ts'
import type { LayerLimits } from '../../../rootfs/types.ts'
import { ExpectedError, printable, type Issue, type Reason } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { appCredentials, type AppCredentials } from './app-credentials.ts'
import { providerKeychain } from './credential-provider.ts'
import { Errands } from './errands.ts'
import { openPlace, pullableReference } from './image-places.ts'
import { ImageReader } from './image-reader.ts'
import type { ImagesConfig } from './image-settings.ts'
import { missingPlatforms, platformWarnings, requirePlatforms, wantedPlatforms } from './platforms.ts'
import type { PaceLimits } from '../../../registry/read-pace.ts'
import type { SeenImage } from './read-tree.ts'
import { recentSecrets } from './recent-secrets.ts'
import type { SecretReader } from './secret-reader.ts'
import { notSeenWarning, refuseUnseen, UNSEEN_TREE } from './unseen-tree.ts'
import { WeightedCache } from './weighted-cache.ts'

export interface ClusterImagesOptions {
  readonly config: ImagesConfig
  readonly secrets: SecretReader
  /** Platforms of the ready nodes, the most common first; empty when nodes can't be read. */
  readonly platforms: () => readonly Platform[]
  readonly log: Logger
  readonly now: () => number
  /** Proxies, and what credential-provider plugins need to run. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** `process.arch`. */
  readonly arch: string
  readonly session?: RegistrySession
  /** Work for the app has ended that its last pass did not wait for. */
  readonly onDone?: (app: string) => void
  readonly limits?: LayerLimits
  readonly treeCacheBytes?: number
  readonly pace?: PaceLimits
  /** How long a pass waits for a registry or for layers. */
  readonly patienceMs?: number
}

/** One platform of an image, with its files as far as they were read. */
export interface PlatformImage {
  readonly image: ResolvedImage
  readonly tree: PreparedImage['tree']
  /** False: the tree answers nothing, because the layers could not be read. */
  readonly checked: boolean
}

/** `platforms` has every platform that the app may land on, the main one first. */
export interface ClusterPreparedImage extends PreparedImage {
  readonly platforms: readonly PlatformImage[]
}

interface Seen extends PlatformImage {
  readonly warnings: readonly Issue[]
}

const RESOLVED_CACHE_BYTES = 8 << 20
/** What a registry needs for a tag and its documents; one that needs longer is not waited for by a worker. */
const PATIENCE_MS = 3000
const SAME_MOMENT_MS = 1000
/** Of one namespace: so many slow registries may have workers wait for further ones. */
const MAX_LATE = 4
const MAX_ASKING = 64

export class ClusterImages implements Images, ImagePresence {
  readonly #options: ClusterImagesOptions
  readonly #session: RegistrySession
  readonly #secrets: ReturnType<typeof recentSecrets>
  readonly #providers: ReturnType<typeof providerKeychain>
  /** By namespace and repository, too: what one tenant may pull says nothing about another. */
  readonly #resolved = new WeightedCache<ResolvedImage>(RESOLVED_CACHE_BYTES)
  readonly #reader: ImageReader
  readonly #errands: Errands

  constructor(options: ClusterImagesOptions) {
    const { env, now, config } = options
    this.#options = options
    this.#session = options.session ?? new RegistrySession({ effects: { env, now } })
    this.#secrets = recentSecrets(options.secrets, now)
    this.#providers = providerKeychain({ providers: config.providers, env, now })
    const { onDone = () => undefined, limits, pace, treeCacheBytes: cacheBytes, patienceMs } = options
    this.#reader = new ImageReader({ onDone, limits, pace, cacheBytes, patienceMs })
    this.#errands = new Errands({
      patienceMs: patienceMs ?? PATIENCE_MS,
      maxLate: MAX_LATE,
      maxRunning: MAX_ASKING,
      onDone,
    })
  }

  /** The app is gone: nothing is read or asked for it any more. */
  forget(key: AppKey): void {
    this.#reader.forget(appId(key))
    this.#errands.forget(appId(key))
  }

  close(): void {
    this.#reader.close()
    this.#errands.close()
    this.#secrets.forget()
    this.#session.close()
  }

  async resolve(
    app: App,
    stored: StoredApp,
    pin: Digest | undefined,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const reference = pullableReference(app.spec.image)
    refuseMovingTag(app, reference)
    const wanted = this.#platforms(app)
    const work = async (source: ImageSource, stop: AbortSignal): Promise<ResolvedImage> => {
      if (pin !== undefined) return this.#resolvePinned(app, source, wanted, pin, stop)
      // Many apps are applied at once; one that had a digest before is to have the newest now.
      const question = stored.status?.image === undefined ? { maxAgeMs: SAME_MOMENT_MS } : {}
      const image = await this.#resolveNew(app, source, wanted[0], question, stop)
      requirePlatforms(image, wanted)
      return image
    }
    return this.#ask(app, stored, `resolve ${pin ?? ''}`, work, signal)
  }

  async recall(app: App, _stored: StoredApp, digest: Digest): Promise<ResolvedImage | undefined> {
    for (const platform of this.#platforms(app)) {
      const known = this.#known(app, platform, digest)
      if (known !== undefined) return known
    }
    return undefined
  }

  async prepare(
    app: App,
    stored: StoredApp,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<ClusterPreparedImage> {
    const wanted = this.#platforms(app)
    const images = [image, ...(await this.#otherPlatforms(app, stored, image, wanted, signal))]
    const seen: Seen[] = []
    // One after the other: each takes memory while it is read.
    for (const each of images) seen.push(await this.#see(app, each, signal))
    return {
      image,
      tree: seen[0]?.tree ?? UNSEEN_TREE,
      rootfsDir: '',
      warnings: [
        ...platformWarnings(image, wanted),
        ...seen.flatMap(({ warnings }) => warnings),
        ...(await this.#secretWarnings(app, signal)),
      ],
      platforms: seen,
    }
  }

  head(app: App, _stored: StoredApp, signal: AbortSignal, question?: TagQuestion): Promise<TagState> {
    return this.#withSource(app, signal, (source) => source.head(signal, question))
  }

  holds(app: App, _stored: StoredApp, digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#withSource(app, signal, (source) => source.holds(digest, signal))
  }

  /** How registries let themselves be asked, for metrics. */
  registryReadings(): ReturnType<RegistrySession['readings']> {
    return this.#session.readings()
  }

  #platforms(app: App): readonly [Platform, ...Platform[]] {
    return wantedPlatforms(app, this.#options.platforms(), this.#options.arch)
  }

  async #resolveNew(
    app: App,
    source: ImageSource,
    platform: Platform,
    question: TagQuestion,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const { digest } = pullableReference(app.spec.image)
    if (digest !== undefined) return this.#resolveDigest(app, source, platform, digest, signal)
    const tag = await source.head(signal, question)
    try {
      return await this.#resolveDigest(app, source, platform, tag.digest, signal)
    } catch (error) {
      // Some registries answer a tag but not the digest that they named for it.
      if (!isReason(error, 'ImageNotFound')) throw error
      return this.#remember(app, platform, await source.resolve(platform, signal))
    }
  }

  /** The first platform that the image has: nodes may have changed since it was pinned. */
  async #resolvePinned(
    app: App,
    source: ImageSource,
    wanted: readonly [Platform, ...Platform[]],
    digest: Digest,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const [platform, ...others] = wanted
    try {
      return await this.#resolveDigest(app, source, platform, digest, signal)
    } catch (error) {
      const [next, ...rest] = others
      if (next === undefined || !isReason(error, 'PlatformNotFound')) throw error
      return this.#resolvePinned(app, source, [next, ...rest], digest, signal)
    }
  }

  async #otherPlatforms(
    app: App,
    stored: StoredApp,
    image: ResolvedImage,
    wanted: readonly Platform[],
    signal: AbortSignal,
  ): Promise<readonly ResolvedImage[]> {
    const missing = missingPlatforms(image, wanted)
    const present = wanted.filter((platform) => !missing.includes(platform))
    const known = present.map((platform) => this.#known(app, platform, image.digest))
    const askAll = async (source: ImageSource, stop: AbortSignal): Promise<readonly ResolvedImage[]> => {
      const resolved: ResolvedImage[] = []
      for (const platform of present)
        resolved.push(await this.#resolveDigest(app, source, platform, image.digest, stop))
      return resolved
    }
    const images = known.every((each) => each !== undefined)
      ? known
      : await this.#ask(app, stored, `platforms ${image.digest}`, askAll, signal)
    const byManifest = new Map(images.map((each) => [each.manifestDigest, each]))
    byManifest.delete(image.manifestDigest)
    return [...byManifest.values()]
  }

  async #resolveDigest(
    app: App,
    source: ImageSource,
    platform: Platform,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const known = this.#known(app, platform, digest)
    return known ?? this.#remember(app, platform, await source.resolve(platform, signal, digest))
  }

  #known(app: App, platform: Platform, digest: Digest): ResolvedImage | undefined {
    const reference = pullableReference(app.spec.image)
    const known = this.#resolved.get(resolvedKey(app, reference, digest, platform))
    return known === undefined ? undefined : { ...known, reference, canonical: canonical(reference) }
  }

  #remember(app: App, platform: Platform, image: ResolvedImage): ResolvedImage {
    const key = resolvedKey(app, pullableReference(app.spec.image), image.digest, platform)
    this.#resolved.set(key, image, JSON.stringify(image).length + key.length)
    return image
  }

  async #see(app: App, image: ResolvedImage, signal: AbortSignal): Promise<Seen> {
    try {
      const seen = await this.#tree(app, image, signal)
      const warnings = [...droppedWarnings(seen), ...clusterLayerIssues(app, seen.divergence)]
      return { image, tree: seen.tree, checked: true, warnings }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ExpectedError) || !UNREADABLE.has(error.reason)) throw error
      refuseUnseen(app, image, error)
      return { image, tree: UNSEEN_TREE, checked: false, warnings: [notSeenWarning(error)] }
    }
  }

  #tree(app: App, image: ResolvedImage, signal: AbortSignal): Promise<SeenImage> {
    const { namespace } = app.metadata
    return this.#reader.read(
      {
        namespace,
        owner: appId(app.metadata),
        image,
        withSource: (stop, work) => this.#withSource(app, stop, work),
      },
      signal,
    )
  }

  async #secretWarnings(app: App, signal: AbortSignal): Promise<readonly Issue[]> {
    return (await appCredentials(app, this.#secrets, signal)).warnings
  }

  /** A registry that does not answer soon keeps no worker: the answer is there in a later pass. */
  #ask<Value>(
    app: App,
    stored: StoredApp,
    what: string,
    work: (source: ImageSource, stop: AbortSignal) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<Value> {
    const owner = appId(app.metadata)
    const { namespace } = app.metadata
    const { registry } = pullableReference(app.spec.image)
    return this.#errands.run(
      {
        // An edit may bring other credentials: what was asked before counts no more.
        key: `${owner} ${stored.generation} ${what}`,
        namespace,
        owner,
        work: (stop) => this.#withSource(app, stop, (source) => work(source, stop)),
        waitsFor: () => `${printable(registry)} has not answered yet`,
      },
      signal,
    )
  }

  async #withSource<Value>(
    app: App,
    signal: AbortSignal,
    work: (source: ImageSource) => Promise<Value>,
  ): Promise<Value> {
    const reference = pullableReference(app.spec.image)
    const credentials = await appCredentials(app, this.#secrets, signal)
    const { config, env, log } = this.#options
    const source = openPlace(reference, config, {
      baseDir: '/',
      registries: config.registries,
      keychain: combineKeychains(credentials.keychain, this.#providers),
      session: this.#session,
      env,
      onWarning: (text) => log.warn({ registry: reference.registry, text }, 'registry says'),
    })
    try {
      return await work(source)
    } catch (error) {
      throw withSecretTrouble(error, credentials)
    } finally {
      await source.close()
    }
  }
}

/** Reasons for which nodes may still be able to pull what we can't read. */
const UNREADABLE: ReadonlySet<string> = new Set(['RegistryUnavailable', 'LimitExceeded'])

function refuseMovingTag(app: App, reference: RegistryReference): void {
  if (app.spec.imagePolicy?.resolve !== 'Never' || reference.digest !== undefined) return
  throw new ExpectedError(
    'DigestRequired',
    `imagePolicy.resolve is Never, so spec.image must carry a digest: ${canonical(reference)}@sha256:…`,
    { path: 'spec.image' },
  )
}

/** A registry that refuses does so perhaps only because a secret could not be read. */
function withSecretTrouble(error: unknown, { forbidden }: AppCredentials): unknown {
  if (forbidden === undefined || !(error instanceof ExpectedError)) return error
  if (error.reason !== 'RegistryUnauthorized') return error
  return new ExpectedError('PullSecretForbidden', `${error.message}; ${forbidden.message}`, {
    retry: 'backoff',
    cause: error,
  })
}

function isReason(error: unknown, reason: Reason): boolean {
  return error instanceof ExpectedError && error.reason === reason
}

function resolvedKey(app: App, reference: RegistryReference, digest: Digest, platform: Platform): string {
  const { registry, repository } = reference
  return [app.metadata.namespace, `${registry}/${repository}`, digest, formatPlatform(platform)].join(' ')
}

function droppedWarnings({ dropped, firstDropped }: SeenImage): readonly Issue[] {
  if (dropped === 0) return []
  const message = `${dropped} entries of the layers were left out, first ${firstDropped?.path ?? ''}: ${firstDropped?.message ?? ''}`
  return [{ severity: 'warning', reason: 'InvalidLayer', path: 'spec.image', message }]
}
