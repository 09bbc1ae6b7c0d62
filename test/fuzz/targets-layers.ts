/** Layers, from the compressed bytes to the merged tree. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { ExpectedError } from '../../src/errors.ts'
import { decompressLayer } from '../../src/rootfs/decompress.ts'
import { applyLayer } from '../../src/rootfs/flatten.ts'
import { emptyReport } from '../../src/rootfs/layer-notes.ts'
import { DEFAULT_LIMITS } from '../../src/rootfs/limits.ts'
import { parsePaxRecords } from '../../src/rootfs/pax.ts'
import { emptyTree, visitTree } from '../../src/rootfs/tree.ts'
import { atOnce } from '../../src/rootfs/work-slices.ts'
import type { LayerLimits } from '../../src/rootfs/types.ts'
import { fullLinesOf, inChunks, readTar } from '../rootfs/flattened.ts'
import {
  blockDevice,
  charDevice,
  dir,
  fifo,
  file,
  gnuLong,
  hardlink,
  layer,
  opaque,
  pax,
  paxGlobal,
  paxRecords,
  symlink,
  whiteout,
} from '../support/layer.ts'
import type { Target } from './fuzzer.ts'
import { mutateBytes, mutateTar } from './mutate.ts'

/** Low enough that inputs of a fuzzer reach them. */
export const LIMITS: LayerLimits = {
  ...DEFAULT_LIMITS,
  maxEntries: 200,
  maxBytes: 1024 ** 2,
  maxFileBytes: 256 * 1024,
  maxDepth: 40,
  maxPaxBytes: 8192,
  maxMetadataBytes: 64 * 1024,
}

const LOWER = [
  dir('a', { mode: 0o700 }),
  dir('a/b'),
  file('a/b/f', 'lower'),
  symlink('l', 'a/b'),
  symlink('up', '../../a'),
  symlink('loop', 'loop'),
  hardlink('h', 'a/b/f'),
  file('p', 'plain'),
]

const UPPER = [
  file('a/b/f', 'upper', { mode: 0o4755, uid: 1000, xattrs: { 'user.x': 'y' } }),
  whiteout('a/b/f'),
  opaque('a'),
  file('l/new', 'through a link'),
  hardlink('h2', 'h'),
  symlink('a', 'l'),
  charDevice('dev/null', 1, 3),
  blockDevice('dev/sda', 8, 0),
  fifo('pipe', { mtime: '-1.5' }),
  pax({ path: 'x'.repeat(120), size: '3', mtime: '1.000000001' }),
  file('short', 'abc'),
  gnuLong('L', 'n'.repeat(150)),
  file('also-short', ''),
  gnuLong('K', 't'.repeat(150)),
  symlink('long-target', 't'),
  paxGlobal({ comment: 'c' }),
]

const SEEDS: readonly Buffer[] = [layer(UPPER), ...UPPER.map((part) => layer([part])), layer(LOWER)]

/** Bytes of a tar archive, merged over a fixed lower layer. */
export const tarTarget: Target = {
  name: 'tar',
  seeds: SEEDS,
  mutate: mutateTar,
  run: (input) => {
    const whole = outcome(() => linesOver(input, input.length))
    for (const cut of [1, 511]) {
      // Reading byte by byte is slow, and long inputs tell no more.
      if (cut === 1 && input.length > 2048) continue
      same(
        whole,
        outcome(() => linesOver(input, cut)),
        `in pieces of ${cut}`,
      )
    }
  },
}

export const paxTarget: Target = {
  name: 'pax',
  seeds: [
    paxRecords([
      ['path', 'a/b'],
      ['size', '12'],
      ['SCHILY.xattr.user.x', Buffer.from([0, 0x80, 0xff])],
    ]),
    Buffer.from('10 a=1234\n'),
    Buffer.from('99999999999999999999 a=b\n'),
  ],
  mutate: mutateBytes,
  run: (input) => {
    const records = parsePaxRecords(input)
    if ('problem' in records) return
    const bytes = records.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
    if (bytes > input.length) throw new Error('more was read from the records than is in them')
  },
}

export const gzipTarget = compressionTarget('gzip', 'application/vnd.oci.image.layer.v1.tar+gzip', [
  gzipSync(layer(LOWER)),
  Buffer.concat([gzipSync('one'), gzipSync('two')]),
  Buffer.concat([gzipSync('one'), Buffer.alloc(700), gzipSync('two')]),
  Buffer.concat([gzipSync('one'), Buffer.from('junk')]),
])

export const zstdTarget = compressionTarget('zstd', 'application/vnd.oci.image.layer.v1.tar+zstd', [
  zstdCompressSync(layer(LOWER)),
  Buffer.concat([zstdCompressSync('one'), zstdCompressSync('two')]),
  Buffer.concat([Buffer.from('502a4d180300000061626328b52ffd', 'hex'), zstdCompressSync('one')]),
  Buffer.concat([Buffer.from('502a4d1803000000616263', 'hex'), zstdCompressSync('one')]),
])

function compressionTarget(name: string, mediaType: string, seeds: readonly Buffer[]): Target {
  return {
    name,
    seeds,
    mutate: mutateBytes,
    run: async (input) => {
      const whole = await outcomeOf(() => decompressed(input, mediaType, input.length))
      same(whole, await outcomeOf(() => decompressed(input, mediaType, 7)), 'in pieces of 7')
      const slowly = (): Promise<string> => decompressed(input, mediaType, 64, () => nextTurn())
      same(whole, await outcomeOf(slowly), 'by a reader that takes its time')
    },
  }
}

/** Enough to tell outputs apart; a bomb is left before it hurts. */
const MAX_OUTPUT_BYTES = 4 * 1024 ** 2

async function decompressed(
  input: Buffer,
  mediaType: string,
  cut: number,
  pause?: () => Promise<unknown>,
): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of decompressLayer(inChunks(input, Math.max(1, cut)), mediaType)) {
    await pause?.()
    parts.push(Buffer.from(chunk))
    bytes += chunk.length
    if (bytes > MAX_OUTPUT_BYTES) return 'more than is looked at'
  }
  return Buffer.concat(parts).toString('latin1')
}

function linesOver(input: Buffer, cut: number): string {
  const tree = emptyTree()
  const report = emptyReport()
  atOnce(applyLayer(tree, readTar(layer(LOWER)), 0, report))
  const usage = { entries: 0 }
  const upper = readTar(input, LIMITS, Math.max(1, cut))
  atOnce(applyLayer(tree, upper, 1, report, { limits: LIMITS, usage }))
  visitTree(tree, (_, names) => {
    const name = names.at(-1) ?? ''
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name) || name.startsWith('.wh.'))
      throw new Error(`the tree has the name ${JSON.stringify(name)}`)
  })
  return [...fullLinesOf(tree), JSON.stringify(report)].join('\n')
}

function outcome(work: () => string): string {
  try {
    return work()
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}: ${error.message}`
    throw error
  }
}

/** Which of its checks a decoder fails first depends on the pieces, so the reason counts and not the words. */
async function outcomeOf(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ExpectedError) return error.reason
    throw error
  }
}

function same(whole: string, pieces: string, how: string): void {
  if (whole !== pieces) throw new Error(`the input means something else ${how}`)
}
