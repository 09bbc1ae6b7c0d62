/** Blobs to entries: compression by magic, streams of several parts, digests, limits. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { decompressLayer } from '../../src/rootfs/decompress.ts'
import { emptyReport } from '../../src/rootfs/layer-notes.ts'
import { DEFAULT_LIMITS, noUsage } from '../../src/rootfs/limits.ts'
import { readLayer } from '../../src/rootfs/read-layer.ts'
import { oldSparse } from '../conformance/layers/sparse-parts.ts'
import { diffIdOf, file, layer, paxGlobal } from '../support/layer.ts'
import { inChunks, MemorySink, readBlob } from './flattened.ts'

const TAR = 'application/vnd.oci.image.layer.v1.tar'
const GZIP = `${TAR}+gzip`
const ZSTD = `${TAR}+zstd`

async function decompressed(
  blob: Buffer,
  mediaType: string,
  chunk = blob.length,
  notes: string[] = [],
): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of decompressLayer(inChunks(blob, chunk), mediaType, {
    layer: 3,
    onMismatch: (text) => notes.push(text),
  }))
    parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}: ${error.message}`
    throw error
  }
  return 'no error'
}

/** A zstd frame that decoders skip (RFC 8878 §3.1.2). */
function skippable(content: string, variant = 0): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x184d2a50 + variant, 0)
  header.writeUInt32LE(content.length, 4)
  return Buffer.concat([header, Buffer.from(content)])
}

const NULS = Buffer.alloc(700)
const [A, B] = [Buffer.from('first '.repeat(50_000)), Buffer.from('second')]
const BOTH = Buffer.concat([A, B])

describe('decompression', () => {
  test.each<[string, Buffer, string, Buffer]>([
    ['reads gzip', gzipSync(A), GZIP, A],
    ['reads every gzip member', Buffer.concat([gzipSync(A), gzipSync(B)]), GZIP, BOTH],
    ['reads a gzip member after NUL padding', Buffer.concat([gzipSync(A), NULS, gzipSync(B)]), GZIP, BOTH],
    ['ignores NULs after the last gzip member', Buffer.concat([gzipSync(A), NULS]), GZIP, A],
    ['reads empty gzip members', Buffer.concat([gzipSync(''), gzipSync(A), gzipSync('')]), GZIP, A],
    ['reads zstd', zstdCompressSync(A), ZSTD, A],
    ['reads every zstd frame', Buffer.concat([zstdCompressSync(A), zstdCompressSync(B)]), ZSTD, BOTH],
    [
      'skips a skippable zstd frame in front',
      Buffer.concat([skippable('toc'), zstdCompressSync(A)]),
      ZSTD,
      A,
    ],
    [
      'skips skippable zstd frames between and behind',
      Buffer.concat([
        zstdCompressSync(A),
        skippable('x', 15),
        skippable(''),
        zstdCompressSync(B),
        skippable('end'),
      ]),
      ZSTD,
      BOTH,
    ],
    ['reads empty zstd frames', Buffer.concat([zstdCompressSync(''), zstdCompressSync(A)]), ZSTD, A],
    ['reads nothing but skippable frames', skippable('only'), ZSTD, Buffer.alloc(0)],
    ['reads incompressible zstd', zstdCompressSync(noise(400_000)), ZSTD, noise(400_000)],
    ['reads RLE blocks of zstd', zstdCompressSync(Buffer.alloc(3_000_000)), ZSTD, Buffer.alloc(3_000_000)],
    ['passes tar through', A, TAR, A],
    ['takes an empty blob', Buffer.alloc(0), TAR, Buffer.alloc(0)],
    ['knows Docker layers', gzipSync(A), 'application/vnd.docker.image.rootfs.diff.tar.gzip', A],
    ['knows foreign layers', gzipSync(A), 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', A],
    [
      'knows non-distributable layers',
      zstdCompressSync(A),
      'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
      A,
    ],
  ])('B7 %s', async (_title, blob, mediaType, expected) => {
    for (const chunk of [blob.length || 1, 1000, 7]) {
      const notes: string[] = []
      const found = await decompressed(blob, mediaType, chunk, notes)
      expect(found.equals(expected)).toBe(true)
      expect(notes).toEqual([])
    }
  })

  test.each<[string, Buffer, string, string]>([
    ['gzip that says zstd', gzipSync(A), ZSTD, 'says zstd, the bytes are gzip'],
    ['zstd that says gzip', zstdCompressSync(A), GZIP, 'says gzip, the bytes are zstd'],
    ['tar that says gzip', A, GZIP, 'says gzip, the bytes are none'],
    ['gzip that says tar', gzipSync(A), TAR, 'says none, the bytes are gzip'],
  ])('B7 goes by the bytes for %s, and says so once', async (_title, blob, mediaType, message) => {
    const notes: string[] = []
    const found = await decompressed(blob, mediaType, 100, notes)
    expect(found.equals(A)).toBe(true)
    expect(notes).toEqual([expect.stringContaining(message)])
  })

  const gz = gzipSync(A)
  const zst = zstdCompressSync(noise(5000))
  test.each<[string, Buffer, string]>([
    ['truncated gzip', gz.subarray(0, -20), 'InvalidLayer: layer 3: the gzip stream is damaged or truncated'],
    ['gzip without its trailer', gz.subarray(0, -8), 'InvalidLayer: layer 3: the gzip stream'],
    [
      'a wrong CRC',
      Buffer.concat([gz.subarray(0, -8), Buffer.alloc(4), gz.subarray(-4)]),
      'InvalidLayer: layer 3: the gzip stream',
    ],
    [
      'a wrong length',
      Buffer.concat([gz.subarray(0, -4), Buffer.alloc(4, 1)]),
      'InvalidLayer: layer 3: the gzip stream',
    ],
    [
      'damaged deflate data',
      Buffer.concat([gz.subarray(0, 30), Buffer.alloc(20, 0xff), gz.subarray(50)]),
      'InvalidLayer: layer 3: the gzip stream',
    ],
    ['junk after gzip', Buffer.concat([gz, Buffer.from('junk')]), 'InvalidLayer: layer 3: the gzip stream'],
    [
      'junk after padding',
      Buffer.concat([gz, NULS, Buffer.from('junk')]),
      'InvalidLayer: layer 3: bytes that are no gzip follow',
    ],
    [
      'a truncated second member',
      Buffer.concat([gz, gz.subarray(0, 40)]),
      'InvalidLayer: layer 3: the gzip stream',
    ],
    ['truncated zstd', zst.subarray(0, -3), 'InvalidLayer: layer 3: the zstd stream is'],
    ['zstd cut in its header', zst.subarray(0, 5), 'InvalidLayer: layer 3: the zstd stream is'],
    [
      'junk after zstd',
      Buffer.concat([zst, Buffer.from('junk')]),
      'InvalidLayer: layer 3: what follows the last zstd frame is no frame',
    ],
    [
      'a stub after zstd',
      Buffer.concat([zst, Buffer.from([0x28])]),
      'InvalidLayer: layer 3: what follows the last zstd frame is no frame',
    ],
    [
      'a truncated skippable frame',
      Buffer.concat([zst, skippable('abcdef').subarray(0, -2)]),
      'InvalidLayer: layer 3: the zstd stream is truncated',
    ],
    [
      'a second frame that is truncated',
      Buffer.concat([zst, zst.subarray(0, 100)]),
      'InvalidLayer: layer 3: the zstd stream is',
    ],
    ['damaged zstd data', damaged(zst), 'InvalidLayer: layer 3: the zstd stream is damaged'],
    [
      'a zstd window of 3 GiB',
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xac, 0x01, 0, 0]),
      'LimitExceeded: layer 3: the zstd window',
    ],
  ])('refuses %s', async (_title, blob, message) => {
    for (const chunk of [blob.length, 11])
      expect(await failure(decompressed(blob, GZIP, chunk))).toContain(message)
  })

  test.each([
    'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
    'application/vnd.in-toto+json',
    'text/plain',
    '',
  ])('refuses media type "%s"', async (mediaType) => {
    expect(await failure(decompressed(gz, mediaType))).toMatch(/^UnsupportedMediaType: layer 3: /)
  })

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])(
    'gives the same bytes of many small streams of %s to a reader that takes its time',
    async (kind, pack) => {
      const parts = Array.from({ length: 1000 }, (_, n) => noise(3000 + n))
      const blob = Buffer.concat(parts.map(pack))
      for (const chunk of [blob.length, 16 * 1024]) {
        const found: Buffer[] = []
        for await (const part of decompressLayer(inChunks(blob, chunk), `${TAR}+${kind}`)) {
          // The engine is at work meanwhile, and fills the buffer that this is a part of.
          await nextTurn()
          await nextTurn()
          found.push(Buffer.from(part))
        }
        expect(Buffer.concat(found).equals(Buffer.concat(parts))).toBe(true)
      }
    },
  )

  test('gives the same bytes for any members and any chunks', async () => {
    const pack = fc.constantFrom<[string, (bytes: Buffer) => Buffer]>(
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    )
    await fc.assert(
      fc.asyncProperty(
        pack,
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 400 }),
        async ([kind, packed], parts, chunk) => {
          const blob = Buffer.concat(parts.map((part) => packed(Buffer.from(part))))
          const found = await decompressed(blob, `${TAR}+${kind}`, chunk)
          expect(found.equals(Buffer.concat(parts))).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })
})

function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let state = 1
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

/** A checksum at the end that can't be right. */
function damaged(frame: Buffer): Buffer {
  const checked = zstdCompressSync(noise(5000), { params: { 201: 1 } })
  return Buffer.concat([checked.subarray(0, -4), frame.subarray(0, 4)])
}

describe('a layer', () => {
  const tar = layer([file('a', 'text')])

  test('is read through every compression', async () => {
    for (const [blob, mediaType] of [
      [gzipSync(tar), GZIP],
      [zstdCompressSync(tar), ZSTD],
      [tar, TAR],
    ] as const) {
      const { entries, report } = await readBlob(blob, tar, mediaType, { chunk: 64 })
      expect(entries.map(({ path, content }) => `${path}=${content?.bytes?.toString() ?? ''}`)).toEqual([
        'a=text',
      ])
      expect(report.dropped).toEqual([])
    }
  })

  test('reports a media type that lies and a global PAX header with more than a comment', async () => {
    const odd = layer([paxGlobal({ comment: 'c' }), paxGlobal({ comment: 'c', uid: '7' }), file('a', '')])
    const { entries, report } = await readBlob(odd, odd, GZIP)
    expect(entries[0]?.uid).toBe(0)
    expect(report.dropped.map(({ rule, message }) => `${rule}: ${message}`)).toEqual([
      `media-type: media type ${GZIP} says gzip, the bytes are none; read as none`,
      'pax-global: global PAX header ignored: uid',
    ])
  })

  test('B6 has a DiffID over the whole stream, bytes after the archive included', async () => {
    const long = Buffer.concat([tar, Buffer.from('tail')])
    expect((await readBlob(gzipSync(long), long, GZIP)).entries).toHaveLength(1)
    expect(await failure(readBlob(gzipSync(long), tar, GZIP))).toBe(
      `DigestMismatch: layer 0: its content has DiffID ${diffIdOf(long)}, the image config says ${diffIdOf(tar)}`,
    )
  })

  test('B5 may not be larger than allowed, packed tightly or not', async () => {
    const zeros = layer([file('z', Buffer.alloc(70 * 1024 * 1024))])
    const blob = gzipSync(zeros)
    expect(await failure(readBlob(blob, zeros, GZIP, { limits: { maxRatio: 100 } }))).toMatch(
      /^LimitExceeded: layer 0: more than 100 bytes from each compressed byte \(maxRatio\)/,
    )
    expect(await failure(readBlob(blob, zeros, GZIP, { limits: { maxBytes: 1_000_000 } }))).toMatch(
      /^LimitExceeded: layer 0: the layers have more than 1000000 bytes uncompressed \(maxBytes\)/,
    )
    expect((await readBlob(blob, zeros, GZIP)).entries).toHaveLength(1)
  })

  test('may have holes beyond any ratio: they are no bytes of it', async () => {
    const tar = layer([oldSparse('s', 60 * 1024 * 1024, []), oldSparse('t', 60 * 1024 * 1024, [])])
    const { entries } = await readBlob(tar, tar, TAR, { limits: { maxRatio: 1 } })
    expect(entries.map(({ size }) => size)).toEqual([60 * 1024 * 1024, 60 * 1024 * 1024])
  })

  test('with a wrong blob digest says that, though decompression failed first', async () => {
    const blob = gzipSync(layer([file('a', noise(3000))]))
    let wasClosed = false
    async function* unverified(): AsyncGenerator<Uint8Array> {
      try {
        await Promise.resolve()
        yield blob.subarray(0, 100)
        yield Buffer.alloc(500, 0xff)
        yield blob.subarray(600)
        throw new ExpectedError('DigestMismatch', 'not what was promised')
      } finally {
        wasClosed = true
      }
    }
    const work = readLayer({
      blob: unverified(),
      descriptor: { mediaType: GZIP, digest: diffIdOf(blob), size: blob.length },
      diffId: diffIdOf(tar),
      layer: 0,
      sink: new MemorySink(),
      limits: DEFAULT_LIMITS,
      usage: noUsage(),
      report: emptyReport(),
      onRead: () => undefined,
    })
    expect(await failure(work)).toBe('DigestMismatch: not what was promised')
    expect(wasClosed).toBe(true)
  })
})

describe('what nodes cannot decompress is told with the entries', () => {
  const tar = layer([file('f', 'F')])
  const DOCKER = 'application/vnd.docker.image.rootfs.diff.tar'
  const cut = gzipSync(tar.subarray(0, 512))
  test.each<[string, Buffer, string, string | undefined]>([
    ['gzip', gzipSync(tar), GZIP, undefined],
    ['gzip of two members', Buffer.concat([cut, gzipSync(tar.subarray(512))]), GZIP, undefined],
    ['zeros between members', Buffer.concat([cut, NULS, gzipSync(tar.subarray(512))]), GZIP, 'zeros behind'],
    ['zeros at the end', Buffer.concat([gzipSync(tar), NULS]), GZIP, 'zeros behind'],
    ['gzip that is said to be plain', gzipSync(tar), TAR, 'it is gzip'],
    ['zstd that is said to be plain', zstdCompressSync(tar), TAR, 'it is zstd'],
    ['gzip that is said to be plain in words of Docker', gzipSync(tar), DOCKER, undefined],
    ['gzip that is said to be zstd', gzipSync(tar), ZSTD, undefined],
    ['a plain archive that is said to be gzip', tar, GZIP, undefined],
  ])('%s', async (_title, blob, mediaType, why) => {
    const { entries } = await readBlob(blob, tar, mediaType)
    expect(entries.filter(({ path }) => path === 'f')).toHaveLength(1)
    const told = entries.filter(({ isForNodes }) => isForNodes === true)
    const reasons = told.map(({ onNodes }) => (onNodes?.kind === 'refuses' ? onNodes.why : ''))
    expect(reasons.map((reason) => why !== undefined && reason.includes(why))).toEqual(
      why === undefined ? [] : [true],
    )
  })
})
