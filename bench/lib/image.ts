/**
 * The images that unpacking is measured with: 1.26 GiB in 60,000 entries and three layers, as gzip and as zstd, and two
 * images that share these three and have a tenth on top. Generated from a fixed seed (so every run and every machine has
 * the same bytes) and kept for the next run.
 */
import { createHash } from 'node:crypto'
import {
  createWriteStream,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { dir, file, symlink } from '../../test/support/layer.ts'

/** Part of the folder's name: another generator makes another image. */
const VERSION = 3
const LAYERS = 3
const DIRECTORIES = 120
/** A tenth of the image that has it. */
const TOP_DIRECTORIES = 40
const FILES_PER_DIRECTORY = 160
/** Average chosen so that the three layers have 1.26 GiB. */
const MEAN_FILE_BYTES = 22_600
/** Shares of pieces, not of bytes. */
const REPEAT_SHARE = 0.55
const WORD_SHARE = 0.2
/** How far back deflate finds repeats. */
const WINDOW_BYTES = 30_000

/** OCI layouts. */
export interface BenchImages {
  /** Tag `bench`. */
  readonly gzip: string
  /** Tag `bench`, the same tree. */
  readonly zstd: string
  /** Tags `first` and `second`. */
  readonly pair: string
}

/** Makes the images below `cacheDir` unless they are there. Takes a minute or two the first time. */
export async function benchImages(cacheDir: string): Promise<BenchImages> {
  const folder = join(cacheDir, `unpack-images-v${VERSION}`)
  if (!existsSync(folder)) {
    const temporary = `${folder}.tmp`
    rmSync(temporary, { recursive: true, force: true })
    await makeLayouts(temporary)
    renameSync(temporary, folder)
  }
  return { gzip: join(folder, 'gzip'), zstd: join(folder, 'zstd'), pair: join(folder, 'pair') }
}

interface Blob {
  readonly digest: string
  readonly size: number
}

interface Layer extends Blob {
  readonly file: string
  readonly diffId: string
  readonly mediaType: string
}

async function makeLayouts(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const base: Layer[] = []
  const zstd: Layer[] = []
  const tops: Layer[] = []
  for (let index = 0; index < LAYERS; index += 1) {
    base.push(await makeLayer(folder, index, DIRECTORIES, 'gzip'))
    zstd.push(await makeLayer(folder, index, DIRECTORIES, 'zstd'))
  }
  for (const index of [LAYERS, LAYERS + 1]) tops.push(await makeLayer(folder, index, TOP_DIRECTORIES, 'gzip'))
  makeLayout(join(folder, 'gzip'), { bench: base })
  makeLayout(join(folder, 'zstd'), { bench: zstd })
  makeLayout(join(folder, 'pair'), {
    first: [...base, ...tops.slice(0, 1)],
    second: [...base, ...tops.slice(1)],
  })
  for (const { file } of [...base, ...zstd, ...tops]) rmSync(file)
}

function makeLayout(layout: string, images: Readonly<Record<string, readonly Layer[]>>): void {
  const blobs = join(layout, 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  const manifests = Object.entries(images).map(([tag, layers]) => {
    for (const { file, digest } of layers) {
      if (!existsSync(join(blobs, digest))) linkSync(file, join(blobs, digest))
    }
    return { ...writeManifest(layout, layers), annotations: { 'org.opencontainers.image.ref.name': tag } }
  })
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

function writeManifest(layout: string, layers: readonly Layer[]): object {
  const config = writeBlob(layout, {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => `sha256:${diffId}`) },
  })
  const manifest = writeBlob(layout, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((layer) => descriptor(layer.mediaType, layer)),
  })
  return descriptor('application/vnd.oci.image.manifest.v1+json', manifest)
}

function descriptor(mediaType: string, { digest, size }: Blob): object {
  return { mediaType, digest: `sha256:${digest}`, size }
}

function writeBlob(layout: string, value: unknown): Blob {
  const bytes = Buffer.from(JSON.stringify(value))
  const digest = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(layout, 'blobs', 'sha256', digest), bytes)
  return { digest, size: bytes.length }
}

async function makeLayer(
  folder: string,
  index: number,
  directories: number,
  format: 'gzip' | 'zstd',
): Promise<Layer> {
  const file = join(folder, `layer-${index}.${format}`)
  const [plain, packed] = [new Meter(), new Meter()]
  // The levels that builders use when nobody says otherwise.
  const packer = format === 'gzip' ? createGzip({ level: 6 }) : createZstdCompress()
  await pipeline(tarParts(index, directories), plain, packer, packed, createWriteStream(file))
  return {
    file,
    digest: packed.digest(),
    size: packed.size,
    diffId: plain.digest(),
    mediaType: `application/vnd.oci.image.layer.v1.tar+${format}`,
  }
}

/** Directories of a package-like tree with files of mixed sizes, and a few symlinks. */
function* tarParts(layer: number, directories: number): Generator<Buffer> {
  const random = generator(layer + 1)
  const pool = contentPool(random)
  for (let d = 0; d < directories; d += 1) {
    const folder = `usr/lib/layer${layer}/package${d}`
    yield dir(folder, { mtime: 1_700_000_000 + d })
    for (let f = 0; f < FILES_PER_DIRECTORY; f += 1) {
      // Many small files, few large ones, as in real images.
      const size = Math.min(pool.length, Math.floor((-Math.log(1 - random())) ** 3 * (MEAN_FILE_BYTES / 6)))
      const start = Math.floor(random() * (pool.length - size))
      const attributes = {
        mode: f % 9 === 0 ? 0o755 : 0o644,
        uid: d % 3,
        gid: d % 5,
        mtime: 1_600_000_000 + f,
      }
      yield file(`${folder}/file-${f}.dat`, pool.subarray(start, start + size), attributes)
      if (f % 23 === 0) yield symlink(`${folder}/link-${f}`, `file-${f}.dat`)
    }
  }
  yield Buffer.alloc(1024)
}

/**
 * 8 MiB that pack as program files do: mostly repeats of what came shortly before, of any length, some words, some
 * bytes that are new. (Words alone would be all short matches, which no real layer is.)
 */
function contentPool(random: () => number): Buffer {
  const pool = Buffer.alloc(8 * 1024 * 1024)
  const words = Array.from({ length: 3000 }, () => Math.floor(random() * 2 ** 40).toString(36))
  let at = 0
  while (at < pool.length) {
    const kind = random()
    if (kind < REPEAT_SHARE && at > 0) {
      const length = 4 + Math.floor((-Math.log(1 - random())) ** 2 * 16)
      const back = 1 + Math.floor(random() ** 2 * Math.min(at, WINDOW_BYTES))
      for (let count = 0; count < length && at < pool.length; count += 1, at += 1)
        pool[at] = pool[at - back] ?? 0
    } else if (kind < REPEAT_SHARE + WORD_SHARE) {
      at += pool.write(`${words[Math.floor(random() ** 2 * words.length)] ?? ''} `, at, 'latin1')
    } else {
      for (let count = 0; count < 28 && at < pool.length; count += 1, at += 1) pool[at] = random() * 256
    }
  }
  return pool
}

/** mulberry32: small, fast, and the same everywhere. */
function generator(seed: number): () => number {
  let state = seed * 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Counts and hashes what passes. */
class Meter extends Transform {
  size = 0
  readonly #hash = createHash('sha256')
  #digest: string | undefined

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.size += chunk.length
    this.#hash.update(chunk)
    done(null, chunk)
  }

  digest(): string {
    this.#digest ??= this.#hash.digest('hex')
    return this.#digest
  }
}
