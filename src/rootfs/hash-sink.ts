/** Keeps a digest of every file and nothing else: enough to compare trees by content. */
import { createHash } from 'node:crypto'
import type { ContentSink, ContentWriter } from './content-sink.ts'
import type { TarEntry } from './tar-entry.ts'

export class HashSink implements ContentSink {
  begin(entry: TarEntry): ContentWriter {
    const hash = createHash('sha256')
    return {
      write: (bytes) => void hash.update(bytes),
      end: () => ({ size: entry.size, digest: `sha256:${hash.digest('hex')}` }),
      abort: () => undefined,
    }
  }
}
