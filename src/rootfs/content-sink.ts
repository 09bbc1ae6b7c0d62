/** Where the content of files goes while layers are read. Who keeps it (disk, hash, nothing) is somebody else. */
import type { TarEntry } from './tar-entry.ts'
import type { ContentRef } from './types.ts'

export interface ContentSink {
  /** A file's content begins; files of several layers may be open at once. */
  begin(entry: TarEntry, layer: number): ContentWriter
}

export interface ContentWriter {
  /** A view of a buffer that is used again: copy it to keep it. */
  write(bytes: Buffer): void
  /** So many zeros that no bytes stand for: a sparse file's. What they cost is the sink's matter, which must bound it. */
  hole(bytes: number): void
  end(): ContentRef
  /** The layer failed in the middle of the file: give back what is held. */
  abort(): void
}
