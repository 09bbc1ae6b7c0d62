/**
 * Images from a distribution registry. The tag is asked with HEAD, which registries don't count as a pull; what it says
 * is then fetched by digest and hashed, so no header is believed and a tag that moves in between does no harm.
 */
import { ExpectedError, printable } from '../errors.ts'
import { algorithmOf, digestIn, digestOf, isDigest, verifyBytes } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES } from '../image/json.ts'
import { parseManifestOrIndex } from '../image/manifest.ts'
import { MANIFEST_TYPES } from '../image/media-types.ts'
import { canonical } from '../image/reference.ts'
import type { ImageSource, TagState } from '../image/source.ts'
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
import type { ClientOptions } from './client.ts'
import { describeFailure, failureOf } from './failure.ts'
import { endpointsFor } from './mirrors.ts'
import type { Endpoint, Purpose } from './mirrors.ts'
import { resolveImage } from './resolve-image.ts'
import type { DocumentReader, RootDocument } from './resolve-image.ts'
import type { HttpAnswer } from './transport.ts'
import type { RegistriesConfig } from './types.ts'
import { collect, verified } from './verified-stream.ts'

const ACCEPT = { accept: MANIFEST_TYPES.join(', ') }

export interface RegistrySourceOptions extends ClientOptions {
  readonly registries: RegistriesConfig
  /** Whether `close` ends the session's connections. */
  readonly ownsSession: boolean
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
      const digest = pin ?? this.#reference.digest
      const { root, source } =
        digest === undefined ? await this.#rootOfTag(limit) : await this.#rootOfDigest(digest, limit)
      const image = await resolveImage(root, platform, this.#reader(limit))
      return { reference: this.#reference, canonical: canonical(this.#reference), ...image, source }
    })
  }

  head(signal: AbortSignal): Promise<TagState> {
    return this.#withinTime(signal, async (limit) => {
      const { tag, digest } = this.#reference
      const [purpose, name] =
        tag === undefined && digest !== undefined
          ? (['pull', digest] as const)
          : (['resolve', tag ?? ''] as const)
      return this.#firstOf(purpose, `manifest ${name}`, async (client) => {
        const found = await this.#headDigest(client, name, limit)
        const state = found ?? (await this.#getManifest(client, name, limit)).digest
        return { digest: state, origin: originOf(client.endpoint) }
      })
    })
  }

  holds(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#withinTime(signal, async (limit) => {
      let unasked: unknown
      for (const client of this.#clientsFor('pull')) {
        try {
          if (await this.#isThere(client, digest, limit)) return true
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
    if (descriptor.data !== undefined) {
      yield descriptor.data
      return
    }
    const clients = this.#clientsFor('pull', descriptor.digest)
    const asked: { client?: RegistryClient } = {}
    const chunks = readBlob(clients, descriptor, signal, (client) => {
      asked.client = client
    })
    try {
      yield* verified(
        descriptor,
        chunks,
        `blob ${descriptor.digest} from ${printable(this.#reference.registry)}`,
      )
    } catch (error) {
      if (isMismatch(error) && asked.client !== undefined)
        this.#liars.add(liarKey(asked.client, descriptor.digest))
      throw error
    }
  }

  close(): Promise<void> {
    if (this.#options.ownsSession) this.#options.session.close()
    return Promise.resolve()
  }

  /** HEAD, then GET by the digest it names; a tag's GET where HEAD is of no use. */
  #rootOfTag(signal: AbortSignal): Promise<{ root: RootDocument; source: ImageOrigin }> {
    const tag = this.#reference.tag ?? ''
    return this.#firstOf('resolve', `tag ${tag}`, async (client) => {
      const digest = await this.#headDigest(client, tag, signal)
      const root =
        (digest === undefined
          ? undefined
          : await this.#getManifest(client, digest, signal).catch(ignoreNotFound)) ??
        (await this.#getManifest(client, tag, signal))
      return { root, source: originOf(client.endpoint) }
    })
  }

  #rootOfDigest(digest: Digest, signal: AbortSignal): Promise<{ root: RootDocument; source: ImageOrigin }> {
    return this.#firstOf('pull', `manifest ${digest}`, async (client) => {
      return { root: await this.#getManifest(client, digest, signal), source: originOf(client.endpoint) }
    })
  }

  /** What HEAD says of a tag; undefined when it says nothing of use, which is remembered for the host (rules M8, M9). */
  async #headDigest(client: RegistryClient, name: string, signal: AbortSignal): Promise<Digest | undefined> {
    const { noHead } = this.#options.session
    const host = client.endpoint.base.origin
    if (noHead.has(host)) return undefined
    const answer = await client.request(
      { method: 'HEAD', path: `manifests/${name}`, headers: ACCEPT },
      signal,
    )
    answer.discard()
    const digest = headerDigest(answer)
    if (answer.status === 200 && digest !== undefined && Number(answer.headers['content-length']) > 0)
      return digest
    // A refusal or a missing tag says nothing about HEAD as such; the GET that follows brings the text.
    if (answer.status === 200 || answer.status === 405 || answer.status === 501) noHead.add(host)
    return undefined
  }

  /** By HEAD alone, which costs no pull; a 404 is asked again by GET, since some know HEAD of tags only (rule M9). */
  async #isThere(client: RegistryClient, digest: Digest, signal: AbortSignal): Promise<boolean> {
    const { noHead } = this.#options.session
    const host = client.endpoint.base.origin
    const ask = async (method: 'HEAD' | 'GET'): Promise<number> => {
      const answer = await client.request({ method, path: `manifests/${digest}`, headers: ACCEPT }, signal)
      answer.discard()
      return answer.status
    }
    const first = noHead.has(host) ? 405 : await ask('HEAD')
    const status = first === 404 ? await ask('GET') : first
    if (status === 404) return false
    if (status !== 200)
      throw failureOf(status, `${printable(client.endpoint.host)} answered ${status} to HEAD of a digest`)
    // From now on it is not asked for digests at all: each question would cost a pull.
    if (first === 404) noHead.add(host)
    return true
  }

  async #getManifest(client: RegistryClient, name: string, signal: AbortSignal): Promise<RootDocument> {
    const answer = await client.request({ method: 'GET', path: `manifests/${name}`, headers: ACCEPT }, signal)
    if (answer.status !== 200) throw failureOf(answer.status, await describeFailure(answer, 'GET'))
    const what = `manifest ${name} of ${printable(client.endpoint.host)}`
    const bytes = await collect(answer.body, MAX_DOCUMENT_BYTES, what)
    const said = headerDigest(answer)
    const digest = isDigest(name) ? name : digestOf(bytes, said === undefined ? 'sha256' : algorithmOf(said))
    if (isDigest(name)) verifyBytes(bytes, name, undefined, what)
    if (said !== undefined && said !== digest && algorithmOf(said) === algorithmOf(digest)) {
      throw new ExpectedError('DigestMismatch', `${what} has digest ${digest}, but its header says ${said}`, {
        retry: 'backoff',
      })
    }
    const mediaType = answer.headers['content-type']
    // Read here already, so that a mirror that answers with a login page is passed over.
    parseManifestOrIndex(bytes, mediaType, what)
    return { digest, mediaType, bytes }
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
      const { bytes } = await this.#getManifest(client, digest, signal)
      verifyBytes(bytes, digest, size, what)
      return bytes
    })
  }

  /** A mirror with wrong bytes is asked last the second time. */
  async #configBytes(descriptor: Descriptor, what: string, signal: AbortSignal): Promise<Buffer> {
    const read = () => collect(this.blob(descriptor, signal), MAX_DOCUMENT_BYTES, what)
    try {
      return await read()
    } catch (error) {
      if (!isMismatch(error) || this.#clientsFor('pull').length < 2) throw error
      return read()
    }
  }

  /** The first endpoint that can; when none can, the registry's own failure with what the mirrors said. */
  async #firstOf<T>(purpose: Purpose, what: string, ask: (client: RegistryClient) => Promise<T>): Promise<T> {
    const tried: Tried[] = []
    const clients = this.#clientsFor(purpose)
    for (const [position, client] of clients.entries()) {
      try {
        return await ask(client)
      } catch (error) {
        if (!(error instanceof ExpectedError)) throw error
        const { host } = client.endpoint
        if (position === clients.length - 1)
          throw missingOnMirror(purpose, error, tried) ?? withTried(error, tried, what)
        tried.push({ error, words: `mirror ${printable(host)}: ${error.message}` })
      }
    }
    throw new Error('unreachable: there is always the registry itself')
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

  async #withinTime<T>(signal: AbortSignal, work: (limit: AbortSignal) => Promise<T>): Promise<T> {
    const { overallMs } = this.#options.session.timeouts
    const time = AbortSignal.timeout(overallMs)
    try {
      return await work(AbortSignal.any([signal, time]))
    } catch (error) {
      if (!time.aborted || signal.aborted || error instanceof ExpectedError) throw error
      const host = printable(this.#reference.registry)
      throw new ExpectedError('RegistryUnavailable', `${host} did not finish within ${overallMs} ms`, {
        retry: 'backoff',
        cause: error,
      })
    }
  }
}

function headerDigest(answer: HttpAnswer): Digest | undefined {
  const value = answer.headers['docker-content-digest']
  return typeof value === 'string' ? digestIn(value) : undefined
}

function originOf({ host, isMirror }: Endpoint): ImageOrigin {
  return { kind: 'registry', host, mirror: isMirror }
}

function ignoreNotFound(error: unknown): undefined {
  if (error instanceof ExpectedError && error.reason === 'ImageNotFound') return undefined
  throw error
}

/** A mirror that was of no use. */
interface Tried {
  readonly error: ExpectedError
  readonly words: string
}

/**
 * Where the registry is out of reach, a mirror that is trusted with tags (rule X1) is the only one who knows: a wrong tag
 * is then what has to be mended, not the network.
 */
function missingOnMirror(
  purpose: Purpose,
  error: ExpectedError,
  tried: readonly Tried[],
): ExpectedError | undefined {
  const missing = tried.find((one) => one.error.reason === 'ImageNotFound')
  if (purpose !== 'resolve' || error.reason !== 'RegistryUnavailable' || missing === undefined)
    return undefined
  const others = [...tried.filter((one) => one !== missing).map(({ words }) => words), error.message]
  const message = `${missing.words}; nobody else could be asked: ${others.join('; ')}`
  return new ExpectedError('ImageNotFound', message, { retry: 'backoff', cause: error })
}

function withTried(error: ExpectedError, tried: readonly Tried[], what: string): ExpectedError {
  if (tried.length === 0) return error
  const before = tried.map(({ words }) => words).join('; ')
  const message = `${error.message} (before that, for ${printable(what)}: ${before})`
  return new ExpectedError(error.reason, message, { retry: error.retry, cause: error })
}

function isMismatch(error: unknown): boolean {
  return error instanceof ExpectedError && error.reason === 'DigestMismatch'
}

function liarKey(client: RegistryClient, digest: Digest): string {
  return `${client.endpoint.base.href} ${digest}`
}
