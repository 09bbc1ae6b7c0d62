/** The files of an OCI image layout, in a folder or in a tar: what `LayoutSource` needs and no more. */
import type { Digest } from '../image/types.ts'

/** A blob opened for reading; nothing is verified yet. */
export interface BlobFile {
  readonly size: number
  /** Each chunk is valid until the second one after it is asked for. */
  read(signal: AbortSignal): AsyncIterable<Buffer>
  close(): Promise<void>
}

export interface LayoutFiles {
  readonly kind: 'oci' | 'oci-archive'
  /** Absolute, as named by the reference. */
  readonly path: string
  /** The tag or full name that belongs to this reading of the reference. */
  readonly tag: string | undefined
  /** Where the index really is: symlinks are allowed, but told (rule L7). */
  realPath(): Promise<string>
  /** `oci-layout`; undefined when missing. */
  readMarker(): Promise<Buffer | undefined>
  /** `index.json`; undefined when missing. */
  readIndex(): Promise<Buffer | undefined>
  /** Undefined when the layout has no such blob. */
  openBlob(digest: Digest): Promise<BlobFile | undefined>
  close(): Promise<void>
}

/** More than any index of images; a bound for files that are none. */
export const MAX_INDEX_BYTES = 8 * 1024 * 1024
export const MAX_MARKER_BYTES = 4096
