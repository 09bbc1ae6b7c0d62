/**
 * A program of its own, so that memory can be bounded and measured: reads one layer made for using it up, as a cluster's
 * controller would. Prints what came of it, how much of the layer was read, and the bytes still in use afterwards.
 */
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { readTree } from '../../../../src/engine/kubernetes/images/read-tree.ts'
import { ExpectedError } from '../../../../src/errors.ts'
import type { Digest, ResolvedImage } from '../../../../src/image/types.ts'
import { dir, file, gnuLong, symlink, tarHeader, whiteout } from '../../../support/layer.ts'

interface Kind {
  readonly entries: number
  readonly entry: (index: number) => Buffer
}

export const KINDS = {
  'a few entries with many attributes each': {
    entries: 1000,
    entry: (index) => file(`f${index}`, '', { xattrs: attributes(300) }),
  },
  'many entries with a few attributes each': {
    entries: 20_000,
    entry: (index) => file(`f${index}`, '', { xattrs: attributes(60) }),
  },
  'long link targets': {
    entries: 40_000,
    entry: (index) => symlink(`l${index}`, `${index}`.padEnd(4000, 'x')),
  },
  'names of many components': {
    entries: 30_000,
    entry: (index) => longName(`${'abc/'.repeat(250)}${index}`),
  },
  'whiteouts of many components': {
    entries: 30_000,
    entry: (index) => longName(`${'abc/'.repeat(250)}.wh.${index}`),
  },
  folders: { entries: 100_000, entry: (index) => dir(`d${index}`) },
  'folders that nodes show otherwise': {
    entries: 100_000,
    entry: (index) => dir(`d${index}`, { mtime: index === 0 ? -1 : 1 }),
  },
  whiteouts: { entries: 100_000, entry: (index) => whiteout(`d${index}`) },
} as const satisfies Readonly<Record<string, Kind>>

export interface Report {
  readonly outcome: string
  readonly readShare: number
  readonly leftBytes: number
}

function attributes(count: number): Readonly<Record<string, string>> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`user.${index}`, 'vvvvvvvvvv']))
}

function longName(name: string): Buffer {
  return Buffer.concat([gnuLong('L', name), tarHeader({ name: 'x', type: '0' })])
}

function* chunks({ entries, entry }: Kind): Generator<Buffer> {
  let parts: Buffer[] = []
  for (let index = 0; index < entries; index += 1) {
    parts.push(entry(index))
    if (parts.length < 100) continue
    yield Buffer.concat(parts)
    parts = []
  }
  yield Buffer.concat([...parts, Buffer.alloc(1024)])
}

async function read(kind: Kind): Promise<Report> {
  const tar = [...chunks(kind)]
  const hash = createHash('sha256')
  for (const chunk of tar) hash.update(chunk)
  const digest: Digest = `sha256:${hash.digest('hex')}`
  const mediaType = 'application/vnd.oci.image.layer.v1.tar'
  const image = { manifest: { layers: [{ mediaType, digest, size: 0 }] }, config: { diffIds: [digest] } }
  let readChunks = 0
  async function* blob(): AsyncGenerator<Buffer> {
    for (const chunk of tar) {
      readChunks += 1
      await turn()
      yield chunk
    }
  }
  const outcome = await outcomeOf({ blob }, image as unknown as ResolvedImage)
  const readShare = readChunks / tar.length
  tar.length = 0
  return { outcome, readShare, leftBytes: await bytesInUse() }
}

/** Twice: buffers are given back by finalisers of what the first round found. */
async function bytesInUse(): Promise<number> {
  for (let round = 0; round < 2; round += 1) {
    globalThis.gc?.()
    await turn()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function outcomeOf(
  source: { readonly blob: () => AsyncGenerator<Buffer> },
  image: ResolvedImage,
): Promise<string> {
  try {
    await readTree(source, image, new AbortController().signal)
    return 'read'
  } catch (error) {
    return error instanceof ExpectedError ? `${error.reason}: ${error.message}` : String(error)
  }
}

if (import.meta.main) {
  const kind = Object.entries(KINDS).find(([name]) => name === process.argv[2])?.[1]
  if (kind === undefined) throw new Error('no such layer')
  process.stdout.write(JSON.stringify(await read(kind)))
}
