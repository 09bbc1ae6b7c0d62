/**
 * Images from a distribution registry. The tag is asked with HEAD, which registries don't count as a pull; what it says
 * is then fetched by digest and hashed, so no header is believed and a tag that moves in between does no harm.
 */
import { ExpectedError, printable } from '../errors.ts'
import { verifyBytes } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES } from '../image/json.ts'
import { canonical } from '../image/reference.ts'
import type { ImageSource, KeptBytes, TagQuestion, TagState } from '../image/source.ts'
import type {
  Descriptor,
  Digest,
  ImageOrigin,
  Platform,
  RegistryReference,
  ResolvedImage,
} from '../image/types.ts'
import { readBlob } from './blob-reader.ts'
import { RegistryClient } from './client.ts'
import type { ClientOptions } from './client-options.ts'
import {
  DOCUMENT_AGE_MS,
  flightKeyOfAll,
  hasManifest,
  readManifest,
  readTag,
  tagDigest,
} from './manifest-reader.ts'
import { endpointsFor, type Endpoint, type Purpose } from './mirrors.ts'
import { firstOf } from './places.ts'
import { resolveImage, type DocumentReader, type RootDocument } from './resolve-image.ts'
import type { RegistrySession } from './session.ts'
import { withinTime } from './time-limit.ts'
import type { RegistriesConfig } from './types.ts'
import { collect, verified } from './verified-stream.ts'

export interface RegistrySourceOptions extends ClientOptions {
  readonly registries: RegistriesConfig
  /** Whether `close` ends the session's connections. */
  readonly ownsSession: boolean
  /** How `resolve` asks for the tag. */
  readonly question?: TagQuestion
}

export class RegistrySource implements ImageSource {
  readonly #reference: RegistryReference
  readonly #options: RegistrySourceOptions
  readonly #clients = new Map<string, RegistryClient>()
  /** Mirrors that handed out wrong bytes for a digest; they are asked last the next time. */
  readonly #liars = new Set<string>()

  constructor(reference: RegistryReference, options: RegistrySourceOptions) {
    this.#reference = reference
    this.#options = options
  }

  resolve(platform: Platform, signal: AbortSignal, pin?: Digest): Promise<ResolvedImage> {
    return this.#withinTime(signal, async (limit) => {
      const { root, source } = await this.#root(pin ?? this.#reference.digest, limit)
      const image = await resolveImage(root, platform, this.#reader(limit))
      return { reference: this.#reference, canonical: canonical(this.#reference), ...image, source }
    })
  }

  head(signal: AbortSignal, question: TagQuestion = {}): Promise<TagState> {
    return this.#withinTime(signal, async (limit) => {
      const { tag, digest } = this.#reference
      const [purpose, name] =
        tag === undefined && digest !== undefined
          ? (['pull', digest] as const)
          : (['resolve', tag ?? ''] as const)
      return this.#firstOf(purpose, `manifest ${name}`, async (client) => ({
        digest: await tagDigest(this.#session, client, name, question, limit),
        origin: originOf(client.endpoint),
      }))
    })
  }

  holds(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#withinTime(signal, async (limit) => {
      let unasked: ExpectedError | undefined
      for (const client of this.#clientsFor('pull')) {
        try {
          if (await hasManifest(this.#session, client, digest, limit)) return true
        } catch (error) {
          if (!(error instanceof ExpectedError)) throw error
          unasked = error
        }
      }
      if (unasked !== undefined) throw unasked
      return false
    })
  }

  async *blob(descriptor: Descriptor, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    signal.throwIfAborted()
    if (descriptor.data === undefined) yield* this.#verifiedBlob(descriptor, signal)
    else yield descriptor.data
  }

  blobAfter(
    kept: KeptBytes,
    descriptor: Descriptor,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#verifiedBlob(descriptor, signal, kept)
  }

  place(signal: AbortSignal): Promise<string> {
    return flightKeyOfAll(this.#clientsFor('pull'), 'blobs', signal)
  }

  close(): Promise<void> {
    if (this.#options.ownsSession) this.#session.close()
    return Promise.resolve()
  }

  async *#verifiedBlob(
    descriptor: Descriptor,
    signal: AbortSignal,
    kept?: KeptBytes,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { digest } = descriptor
    const asked: { client?: RegistryClient } = {}
    const chunks = readBlob(
      {
        clients: this.#clientsFor('pull', digest),
        descriptor,
        offset: kept?.size ?? 0,
        pace: this.#session.timeouts.pace,
        onAsk: (client) => {
          asked.client = client
        },
      },
      signal,
    )
    const what = `blob ${digest} from ${printable(this.#reference.registry)}`
    try {
      yield* verified(descriptor, chunks, what, kept)
    } catch (error) {
      if (isMismatch(error) && asked.client !== undefined) this.#liars.add(liarKey(asked.client, digest))
      throw error
    }
  }

  #root(
    digest: Digest | undefined,
    signal: AbortSignal,
  ): Promise<{ root: RootDocument; source: ImageOrigin }> {
    const tag = this.#reference.tag ?? ''
    const [purpose, what] =
      digest === undefined ? (['resolve', `tag ${tag}`] as const) : (['pull', `manifest ${digest}`] as const)
    return this.#firstOf(purpose, what, async (client) => {
      const root =
        digest === undefined
          ? await readTag(this.#session, client, tag, this.#options.question ?? {}, signal)
          : await readManifest(this.#session, client, digest, signal)
      return { root, source: originOf(client.endpoint) }
    })
  }

  #reader(signal: AbortSignal): DocumentReader {
    return {
      manifest: (descriptor, what) => this.#childManifest(descriptor, what, signal),
      config: async (descriptor, what) => {
        if (descriptor.size > MAX_DOCUMENT_BYTES) {
          throw new ExpectedError(
            'LimitExceeded',
            `${what} has ${descriptor.size} bytes; at most ${MAX_DOCUMENT_BYTES} are read`,
          )
        }
        return this.#configBytes(descriptor, what, signal)
      },
    }
  }

  async #childManifest(descriptor: Descriptor, what: string, signal: AbortSignal): Promise<Buffer> {
    if (descriptor.data !== undefined) return descriptor.data
    const { digest, size } = descriptor
    return this.#firstOf('pull', what, async (client) => {
      const { bytes } = await readManifest(this.#session, client, digest, signal)
      verifyBytes(bytes, digest, size, what)
      return bytes
    })
  }

  /** Read once for all who may see the same; a mirror with wrong bytes is asked last the second time. */
  async #configBytes(descriptor: Descriptor, what: string, signal: AbortSignal): Promise<Buffer> {
    const clients = this.#clientsFor('pull')
    const key = await flightKeyOfAll(clients, `config ${descriptor.digest} ${descriptor.size}`, signal)
    const { bytes } = await this.#session.documents.run(key, DOCUMENT_AGE_MS, signal, async (stop) => {
      const read = () => collect(this.blob(descriptor, stop), MAX_DOCUMENT_BYTES, what)
      try {
        return { bytes: await read() }
      } catch (error) {
        if (!isMismatch(error) || clients.length < 2) throw error
        return { bytes: await read() }
      }
    })
    return bytes
  }

  #firstOf<T>(purpose: Purpose, what: string, ask: (client: RegistryClient) => Promise<T>): Promise<T> {
    const { onStep } = this.#options
    return firstOf(this.#clientsFor(purpose), { purpose, what, onStep }, ask)
  }

  #clientsFor(purpose: Purpose, digest?: Digest): readonly RegistryClient[] {
    const { registry, repository } = this.#reference
    const all = endpointsFor(registry, repository, purpose, this.#options.registries).map((endpoint) =>
      this.#clientOf(endpoint),
    )
    if (digest === undefined) return all
    const isLiar = (client: RegistryClient) => this.#liars.has(liarKey(client, digest))
    return [...all.filter((client) => !isLiar(client)), ...all.filter(isLiar)]
  }

  #clientOf(endpoint: Endpoint): RegistryClient {
    const key = endpoint.base.href
    const client = this.#clients.get(key) ?? new RegistryClient(endpoint, this.#options)
    this.#clients.set(key, client)
    return client
  }

  #withinTime<T>(signal: AbortSignal, work: (limit: AbortSignal) => Promise<T>): Promise<T> {
    return withinTime(this.#session.timeouts.overallMs, this.#reference.registry, signal, work)
  }

  get #session(): RegistrySession {
    return this.#options.session
  }
}

function originOf({ host, isMirror }: Endpoint): ImageOrigin {
  return { kind: 'registry', host, mirror: isMirror }
}

function isMismatch(error: unknown): boolean {
  return error instanceof ExpectedError && error.reason === 'DigestMismatch'
}

function liarKey(client: RegistryClient, digest: Digest): string {
  return `${client.endpoint.base.href} ${digest}`
}
