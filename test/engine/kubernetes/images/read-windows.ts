/**
 * A program of its own, so that memory can be measured: reads an image of many layers, each of them with the
 * largest window that a zstd frame may ask for, as a cluster's controller would or into a folder. Prints the peak of its memory in bytes.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { readTree } from '../../../../src/engine/kubernetes/images/read-tree.ts'
import { unpackImage } from '../../../../src/engine/local/unpack/unpack-image.ts'
import type { Digest, ResolvedImage } from '../../../../src/image/types.ts'
import { tarHeader } from '../../../support/layer.ts'

const LAYERS = 16
const WINDOW_LOG = 27
/** As many bytes as need no honest ratio. */
const CONTENT_BYTES = 62 * 1024 ** 2
const PIECE_BYTES = 64 * 1024

/** Never all of it at once, which would be the peak. */
function* tarPieces(): Generator<Buffer> {
  yield tarHeader({ name: 'zeros', type: '0', size: CONTENT_BYTES })
  const zeros = Buffer.alloc(PIECE_BYTES)
  for (let at = 0; at < CONTENT_BYTES; at += PIECE_BYTES) yield zeros
  yield Buffer.alloc(1024)
}

async function makeBlob(): Promise<readonly [Buffer, Digest]> {
  const hash = createHash('sha256')
  for (const piece of tarPieces()) hash.update(piece)
  // From a stream of unknown length: else the frame would ask for no more than that.
  const engine = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: WINDOW_LOG } })
  const parts: Buffer[] = []
  for await (const part of Readable.from(tarPieces()).pipe(engine)) parts.push(part as Buffer)
  return [Buffer.concat(parts), `sha256:${hash.digest('hex')}`]
}

function sha256(bytes: Buffer): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The kernel's own count, in bytes. */
function peakBytes(): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}

if (import.meta.main) {
  const dir = process.argv[2]
  const [blob, diffId] = await makeBlob()
  const descriptor = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
    digest: sha256(blob),
    size: blob.length,
  }
  const image = {
    manifest: { layers: Array.from({ length: LAYERS }, () => descriptor) },
    config: { diffIds: Array.from({ length: LAYERS }, () => diffId) },
  } as unknown as ResolvedImage
  const source = {
    async *blob(): AsyncGenerator<Buffer> {
      await turn()
      yield blob
    },
  }
  const { signal } = new AbortController()
  const before = peakBytes()
  if (dir === undefined) await readTree(source, image, signal)
  else await unpackImage({ ...image, source, dir, signal, keepIds: false })
  process.stdout.write(JSON.stringify({ before, peak: peakBytes() }))
}
