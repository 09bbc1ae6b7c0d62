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
import { ExpectedError, type Issue } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { appCredentials, type AppCredentials } from './app-credentials.ts'
import { providerKeychain } from './credential-provider.ts'
import { openPlace, pullableReference } from './image-places.ts'
import type { ImagesConfig } from './images-config.ts'
import { requirePlatforms, wantedPlatforms } from './platforms.ts'
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
    const [platform, ...others] = this.#platforms(app)
    const image = await this.#withSource(app, signal, async (source) => {
      const digest = pin ?? reference.digest ?? (await source.head(signal)).digest
      return this.#resolveDigest(app, source, platform, digest, signal).catch(async (error: unknown) => {
        // Some registries answer a tag but not the digest that they named for it.
        if (pin !== undefined || reference.digest !== undefined || !isNotFound(error)) throw error
        return this.#remember(app, platform, await source.resolve(platform, signal))
      })
    })
    requirePlatforms(image, [platform, ...others])
    return image
  }

  recall(app: App, _stored: StoredApp, digest: Digest): Promise<ResolvedImage | undefined> {
    const reference = pullableReference(app.spec.image)
    const [platform, ...others] = this.#platforms(app)
    const known = this.#resolved.get(resolvedKey(app, reference, digest, platform))
    if (known === undefined) return Promise.resolve(undefined)
    requirePlatforms(known, [platform, ...others])
    return Promise.resolve({ ...known, reference, canonical: canonical(reference) })
  }

  async prepare(
    app: App,
    _stored: StoredApp,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<ClusterPreparedImage> {
    const [platform, ...others] = this.#platforms(app)
    this.#remember(app, platform, image)
    const images = [image, ...(await this.#otherPlatforms(app, image, others, signal))]
    const platforms: (PlatformImage & { readonly warnings: readonly Issue[] })[] = []
    // One after the other: each takes memory while it is read.
    for (const each of images) platforms.push(await this.#see(app, each, signal))
    const [main] = platforms
    return {
      image,
      tree: main?.tree ?? UNSEEN_TREE,
      rootfsDir: '',
      warnings: [
        ...platforms.flatMap(({ warnings }) => warnings),
        ...(await this.#secretWarnings(app, signal)),
      ],
      platforms,
    }
  }

  head(app: App, _stored: StoredApp, signal: AbortSignal): Promise<TagState> {
    return this.#withSource(app, signal, (source) => source.head(signal))
  }

  #platforms(app: App): readonly [Platform, ...Platform[]] {
    return wantedPlatforms(app, this.#options.platforms(), this.#options.arch)
  }

  async #otherPlatforms(
    app: App,
    image: ResolvedImage,
    others: readonly Platform[],
    signal: AbortSignal,
  ): Promise<readonly ResolvedImage[]> {
    if (others.length === 0) return []
    return this.#withSource(app, signal, async (source) => {
      const images: ResolvedImage[] = []
      for (const platform of others)
        images.push(await this.#resolveDigest(app, source, platform, image.digest, signal))
      return images.filter(({ manifestDigest }) => manifestDigest !== image.manifestDigest)
    })
  }

  async #resolveDigest(
    app: App,
    source: ImageSource,
    platform: Platform,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const reference = pullableReference(app.spec.image)
    const known = this.#resolved.get(resolvedKey(app, reference, digest, platform))
    if (known !== undefined) return { ...known, reference, canonical: canonical(reference) }
    return this.#remember(app, platform, await source.resolve(platform, signal, digest))
  }

  #remember(app: App, platform: Platform, image: ResolvedImage): ResolvedImage {
    const key = resolvedKey(app, pullableReference(app.spec.image), image.digest, platform)
    this.#resolved.set(key, image, JSON.stringify(image).length + key.length)
    return image
  }

  async #see(
    app: App,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<PlatformImage & { readonly warnings: readonly Issue[] }> {
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

function isNotFound(error: unknown): boolean {
  return error instanceof ExpectedError && error.reason === 'ImageNotFound'
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
