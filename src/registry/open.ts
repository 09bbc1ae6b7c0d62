/** Opens whatever a reference names. The parts are loaded when first used: a layout needs no HTTP client. */
import type { ImageSource, KeptBytes, TagQuestion, TagState } from '../image/source.ts'
import type { Descriptor, Digest, Platform, Reference, ResolvedImage } from '../image/types.ts'
import type { RegistrySession } from './session.ts'
import type { OnStep } from './steps.ts'
import type { Effects, Keychain, RegistriesConfig } from './types.ts'
import { passOver, verified } from './verified-stream.ts'

export interface SourceOptions {
  /** What relative layout paths are relative to. */
  readonly baseDir: string
  readonly registries: RegistriesConfig
  /** Layouts whose oci-layout file is missing or names another version are read as well. */
  readonly lenientLayouts?: boolean
  readonly keychain: Keychain
  readonly userAgent?: string
  readonly random?: () => number
  readonly now?: () => number
  /** Warnings of registries, each once a session; printable. */
  readonly onWarning?: (text: string) => void
  /** Connections, tokens and pauses shared between sources; without it each source has its own. */
  readonly session?: RegistrySession
  /** Where proxies are configured; the process's environment by default. */
  readonly env?: Effects['env']
  /** How `resolve` asks for a tag. */
  readonly question?: TagQuestion
  /** Hears everything that is done at registries, in order. */
  readonly onStep?: OnStep
}

/** Does no I/O yet; the first method called does. */
export function openSource(reference: Reference, options: SourceOptions): ImageSource {
  return new LazySource(() => load(reference, options))
}

async function load(reference: Reference, options: SourceOptions): Promise<ImageSource> {
  if (reference.kind === 'registry') {
    const [{ RegistrySource }, { registryOptions }] = await Promise.all([
      import('./registry-source.ts'),
      import('./registry-options.ts'),
    ])
    return new RegistrySource(reference, registryOptions(options))
  }
  const { baseDir, lenientLayouts } = options
  const { LayoutSource } = await import('./layout-source.ts')
  if (reference.kind === 'oci') {
    const { openFolderLayout } = await import('./layout.ts')
    return new LayoutSource(reference, await openFolderLayout(reference, baseDir), lenientLayouts)
  }
  const { openArchiveLayout } = await import('./archive.ts')
  return new LayoutSource(reference, await openArchiveLayout(reference, baseDir), lenientLayouts)
}

class LazySource implements ImageSource {
  readonly #load: () => Promise<ImageSource>
  #source: Promise<ImageSource> | undefined

  constructor(load: () => Promise<ImageSource>) {
    this.#load = load
  }

  async resolve(platform: Platform, signal: AbortSignal, pin?: Digest): Promise<ResolvedImage> {
    return (await this.#opened()).resolve(platform, signal, pin)
  }

  async head(signal: AbortSignal, question?: TagQuestion): Promise<TagState> {
    return (await this.#opened()).head(signal, question)
  }

  async holds(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return (await this.#opened()).holds(digest, signal)
  }

  async *blob(descriptor: Descriptor, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    yield* (await this.#opened()).blob(descriptor, signal)
  }

  async place(signal: AbortSignal): Promise<string | undefined> {
    return (await this.#opened()).place?.(signal)
  }

  /** Where the source itself can't, all of it is read, and what is there already is passed over. */
  async *blobAfter(
    kept: KeptBytes,
    descriptor: Descriptor,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const source = await this.#opened()
    if (source.blobAfter === undefined)
      yield* verified(
        descriptor,
        passOver(kept.size, source.blob(descriptor, signal)),
        descriptor.digest,
        kept,
      )
    else yield* source.blobAfter(kept, descriptor, signal)
  }

  async close(): Promise<void> {
    const source = await this.#source?.catch(() => undefined)
    this.#source = undefined
    await source?.close()
  }

  /** A failure is not kept: the layout may be there the next time. */
  #opened(): Promise<ImageSource> {
    this.#source ??= this.#load().catch((error: unknown) => {
      this.#source = undefined
      throw error
    })
    return this.#source
  }
}
