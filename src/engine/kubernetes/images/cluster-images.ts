/**
 * Images of a cluster's apps: resolved and checked here, pulled by the nodes. Nothing is written to disk; what is
 * remembered is bounded by bytes and can be thrown away at any time.
 */
import type { App } from '../../../crd/types.ts'
import { canonical } from '../../../image/reference.ts'
import type { ImageSource, TagState } from '../../../image/source.ts'
import type { Digest, Platform, RegistryReference, ResolvedImage } from '../../../image/types.ts'
import { formatPlatform } from '../../../image/platform.ts'
import { shortHash } from '../../../reconcile/names.ts'
import type { Images, PreparedImage, StoredApp } from '../../../reconcile/ports.ts'
import { combineKeychains } from '../../../registry/keychain.ts'
import { RegistrySession } from '../../../registry/session.ts'
import type { LayerLimits } from '../../../rootfs/types.ts'
import { ExpectedError, type Issue, type Reason } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { appCredentials, type AppCredentials } from './app-credentials.ts'
import { providerKeychain } from './credential-provider.ts'
import { openPlace, pullableReference } from './image-places.ts'
import type { ImagesConfig } from './image-settings.ts'
import { missingPlatforms, platformWarnings, requirePlatforms, wantedPlatforms } from './platforms.ts'
import { ReadSlots } from './read-slots.ts'
import { CLUSTER_LAYER_LIMITS, readTree, type SeenImage } from './read-tree.ts'
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
  readonly limits?: LayerLimits
  readonly treeCacheBytes?: number
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

const TREE_CACHE_BYTES = 64 << 20
const RESOLVED_CACHE_BYTES = 8 << 20
/** Trees being read at a time: each takes tens of megabytes while it lasts. */
const READERS = 1

export class ClusterImages implements Images {
  readonly #options: ClusterImagesOptions
  readonly #session: RegistrySession
  readonly #secrets: ReturnType<typeof recentSecrets>
  readonly #providers: ReturnType<typeof providerKeychain>
  /** By namespace and repository, too: what one tenant may pull says nothing about another. */
  readonly #resolved = new WeightedCache<ResolvedImage>(RESOLVED_CACHE_BYTES)
  readonly #trees: WeightedCache<SeenImage>
  /** Two apps with one image share the work. */
  readonly #reading = new Map<string, Promise<SeenImage>>()
  readonly #slots = new ReadSlots(READERS)

  constructor(options: ClusterImagesOptions) {
    const { env, now, config } = options
    this.#options = options
    this.#session = options.session ?? new RegistrySession({ effects: { env, now } })
    this.#secrets = recentSecrets(options.secrets, now)
    this.#providers = providerKeychain({ providers: config.providers, env, now })
    this.#trees = new WeightedCache(options.treeCacheBytes ?? TREE_CACHE_BYTES)
  }

  close(): void {
    this.#secrets.forget()
    this.#session.close()
  }

  async resolve(
    app: App,
    _stored: StoredApp,
    pin: Digest | undefined,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const reference = pullableReference(app.spec.image)
    refuseMovingTag(app, reference)
    const wanted = this.#platforms(app)
    return this.#withSource(app, signal, async (source) => {
      if (pin !== undefined) return this.#resolvePinned(app, source, wanted, pin, signal)
      const image = await this.#resolveNew(app, source, wanted[0], signal)
      requirePlatforms(image, wanted)
      return image
    })
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
    _stored: StoredApp,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<ClusterPreparedImage> {
    const wanted = this.#platforms(app)
    const images = [image, ...(await this.#otherPlatforms(app, image, wanted, signal))]
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

  head(app: App, _stored: StoredApp, signal: AbortSignal): Promise<TagState> {
    return this.#withSource(app, signal, (source) => source.head(signal))
  }

  #platforms(app: App): readonly [Platform, ...Platform[]] {
    return wantedPlatforms(app, this.#options.platforms(), this.#options.arch)
  }

  async #resolveNew(
    app: App,
    source: ImageSource,
    platform: Platform,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const { digest } = pullableReference(app.spec.image)
    if (digest !== undefined) return this.#resolveDigest(app, source, platform, digest, signal)
    const tag = await source.head(signal)
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
    image: ResolvedImage,
    wanted: readonly Platform[],
    signal: AbortSignal,
  ): Promise<readonly ResolvedImage[]> {
    const missing = missingPlatforms(image, wanted)
    const present = wanted.filter((platform) => !missing.includes(platform))
    const known = present.map((platform) => this.#known(app, platform, image.digest))
    const images = known.every((each) => each !== undefined)
      ? known
      : await this.#withSource(app, signal, async (source) => {
          const resolved: ResolvedImage[] = []
          for (const platform of present)
            resolved.push(await this.#resolveDigest(app, source, platform, image.digest, signal))
          return resolved
        })
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
      return { image, tree: seen.tree, checked: true, warnings: droppedWarnings(seen) }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ExpectedError) || !UNREADABLE.has(error.reason)) throw error
      refuseUnseen(app, image, error)
      return { image, tree: UNSEEN_TREE, checked: false, warnings: [notSeenWarning(error)] }
    }
  }

  async #tree(app: App, image: ResolvedImage, signal: AbortSignal): Promise<SeenImage> {
    const key = treeKey(image)
    const known = this.#trees.get(key)
    if (known !== undefined) return known
    const running = this.#reading.get(key)
    // Whoever reads may be stopped; that is no reason for those who wait.
    if (running !== undefined) return running.catch(() => this.#tree(app, image, signal))
    const work = this.#read(app, image, signal).finally(() => this.#reading.delete(key))
    this.#reading.set(key, work)
    const seen = await work
    this.#trees.set(key, seen, seen.tree.bytes)
    return seen
  }

  #read(app: App, image: ResolvedImage, signal: AbortSignal): Promise<SeenImage> {
    const { limits = CLUSTER_LAYER_LIMITS } = this.#options
    return this.#slots.run(
      () => this.#withSource(app, signal, (source) => readTree(source, image, signal, limits)),
      signal,
    )
  }

  async #secretWarnings(app: App, signal: AbortSignal): Promise<readonly Issue[]> {
    return (await appCredentials(app, this.#secrets, signal)).warnings
  }

  async #withSource<Value>(
    app: App,
    signal: AbortSignal,
    work: (source: ImageSource) => Promise<Value>,
  ): Promise<Value> {
    const reference = pullableReference(app.spec.image)
    const credentials = await appCredentials(app, this.#secrets, signal)
    const { config, env, log } = this.#options
    const source = openPlace(reference, config.layouts, {
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

/** What was verified while reading: the blobs by digest and their content by DiffID. */
function treeKey({ manifest, config }: ResolvedImage): string {
  return shortHash([...manifest.layers.map(({ digest }) => digest), ...config.diffIds].join('\n'), 64)
}

function droppedWarnings({ dropped, firstDropped }: SeenImage): readonly Issue[] {
  if (dropped === 0) return []
  const message = `${dropped} entries of the layers were left out, first ${firstDropped?.path ?? ''}: ${firstDropped?.message ?? ''}`
  return [{ severity: 'warning', reason: 'InvalidLayer', path: 'spec.image', message }]
}
