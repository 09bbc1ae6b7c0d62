/** The port through which images come in; the registry folder implements it for registries and layouts. */
import type { Descriptor, Digest, ImageOrigin, Platform, ResolvedImage } from './types.ts'

/** What is known of a tag without reading it: HEAD for registries, index.json for layouts. */
export interface TagState {
  readonly digest: Digest
  readonly origin: ImageOrigin
}

/** How a tag is asked for. */
export interface TagQuestion {
  /** Nobody waits for the answer: a quota that runs out is kept for what is urgent. */
  readonly background?: boolean
  /** An answer that somebody with the same credentials got so long ago is good enough; 0 is the default. */
  readonly maxAgeMs?: number
}

/** The beginning of a blob that is there already; it can be read as often as needed. */
export interface KeptBytes {
  readonly size: number
  read(): AsyncIterable<Uint8Array>
}

/**
 * A place that images come from, opened for one reference. All bytes handed out are verified; every failure is an
 * ExpectedError with a reason from the closed set.
 */
export interface ImageSource {
  /** Resolves to a digest and reads manifest and config of `platform`. With `pin`, reads exactly that digest. */
  resolve(platform: Platform, signal: AbortSignal, pin?: Digest): Promise<ResolvedImage>
  /** What the tag points at now; for noticing a moved tag. Reads no blob. */
  head(signal: AbortSignal, question?: TagQuestion): Promise<TagState>
  /**
   * Whether the place still has a manifest, without reading it. False only when everybody who could have it says that
   * it is not there; throws where somebody could not be asked, which says nothing about the manifest.
   */
  holds(digest: Digest, signal: AbortSignal): Promise<boolean>
  /**
   * The blob's bytes in chunks, each valid until the next is asked for. Throws DigestMismatch before the last chunk is
   * handed out when size or digest are wrong, so a consumer that publishes only after the stream ended never publishes
   * unverified bytes.
   */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Names whom blobs are asked of and as who: sources with equal names get the same from them. Absent, or undefined,
   * where nothing is won by sharing a download. Holds no secret.
   */
  place?(signal: AbortSignal): Promise<string | undefined>
  /** What comes after `kept`, verified together with it. Absent where it would save nothing. */
  blobAfter?(kept: KeptBytes, descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>
  close(): Promise<void>
}
