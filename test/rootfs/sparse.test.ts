/** Sparse files are expanded to the byte: as GNU tar itself writes them, for any map, in any pieces. */
import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS, noUsage } from '../../src/rootfs/limits.ts'
import type { TarEntry } from '../../src/rootfs/tar-entry.ts'
import { TarReader } from '../../src/rootfs/tar-reader.ts'
import { oldSparse, sparse00, sparse01, sparse10, type Segment } from '../conformance/layers/sparse-parts.ts'
import { file, layer } from '../support/layer.ts'
import { failureOf, readTar } from './flattened.ts'

const FORMS = [
  ['old GNU', oldSparse],
  ['PAX 0.0', sparse00],
  ['PAX 0.1', sparse01],
  ['PAX 1.0', sparse10],
] as const

function contentOf(tar: Buffer, name: string, cut?: number): Buffer | undefined {
  return readTar(tar, {}, cut).find((entry) => entry.path === name)?.content?.bytes
}

describe('what GNU tar archives', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'fairlead-sparse-'))
    makeSparse('few', 3_000_000, [4096, 1_000_000, 2_999_999])
    makeSparse(
      'many',
      9_000_000,
      Array.from({ length: 100 }, (_, at) => at * 90_000),
    )
    makeSparse('hole', 2_000_000, [])
    makeSparse('long'.repeat(40), 1_000_000, [500_000])
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  function makeSparse(name: string, size: number, places: readonly number[]): void {
    const fd = openSync(path.join(folder, name), 'w')
    ftruncateSync(fd, size)
    for (const place of places) writeSync(fd, Buffer.from('x'), 0, 1, place)
    closeSync(fd)
  }

  test.each([
    ['old GNU', ['--format=gnu']],
    ['PAX 0.0', ['--format=posix', '--sparse-version=0.0']],
    ['PAX 0.1', ['--format=posix', '--sparse-version=0.1']],
    ['PAX 1.0', ['--format=posix', '--sparse-version=1.0']],
  ])('%s is read back as it was', (_form, options) => {
    // `raw` finds holes by looking for zeros, whatever the file system says.
    const command = ['--sparse', '--hole-detection=raw', '-C', folder, ...options, '-c', '.']
    const tar = execFileSync('tar', command, { maxBuffer: 2 ** 26 })
    expect(tar.length).toBeLessThan(2_000_000)
    for (const name of ['few', 'many', 'hole', 'long'.repeat(40)]) {
      const found = contentOf(tar, `./${name}`)
      expect(found?.equals(readFileSync(path.join(folder, name))), name).toBe(true)
    }
  })
})

/** Segments in order, with gaps of any size, and how many zeros follow the last. */
const sparseFiles = fc
  .tuple(
    fc.array(
      fc.tuple(fc.nat({ max: 700 }), fc.string({ minLength: 0, maxLength: 600, unit: 'binary-ascii' })),
      {
        maxLength: 60,
      },
    ),
    fc.nat({ max: 70_000 }),
  )
  .map(([pieces, tail]) => {
    const segments: Segment[] = []
    let end = 0
    for (const [gap, data] of pieces) {
      segments.push([end + gap, data])
      end += gap + data.length
    }
    return { segments, size: end + tail }
  })

function expanded({ segments, size }: { segments: readonly Segment[]; size: number }): Buffer {
  const content = Buffer.alloc(size)
  for (const [offset, data] of segments) content.write(data, offset, 'latin1')
  return content
}

describe.each(FORMS)('%s', (_name, make) => {
  test('any map is expanded to the byte, in any pieces', () => {
    fc.assert(
      fc.property(sparseFiles, fc.integer({ min: 1, max: 2000 }), (sparse, cut) => {
        const tar = layer([make('s', sparse.size, sparse.segments), file('after', 'text')])
        expect(contentOf(tar, 's', cut)?.equals(expanded(sparse))).toBe(true)
        expect(contentOf(tar, 'after', cut)?.toString()).toBe('text')
      }),
      { numRuns: 60 },
    )
  })

  test('a map that lies is refused, and never gives more than it may', () => {
    const number = fc.oneof(fc.nat({ max: 3000 }), fc.constantFrom(0, 2 ** 31, 2 ** 40, 2 ** 53 - 1))
    const maps = fc.array(fc.tuple(number, number), { maxLength: 30 })
    fc.assert(
      fc.property(maps, number, sparseFiles, (map, size, { segments }) => {
        const most = 100_000
        let given = 0
        const limits = { ...DEFAULT_LIMITS, maxBytes: most }
        const reader = new TarReader(
          {
            entry: () => undefined,
            content: (bytes) => void (given += bytes.length),
            hole: (bytes) => void (given += bytes),
            contentEnd: () => undefined,
            notice: () => undefined,
          },
          { layer: 0, limits, usage: noUsage() },
        )
        const tar = layer([make('s', size, segments, { map })])
        expect(
          failureOf(() => {
            reader.write(tar)
            reader.end()
          }),
        ).toMatch(/^(?:no error|InvalidLayer: |LimitExceeded: )/)
        expect(given).toBeLessThanOrEqual(most + tar.length)
      }),
      { numRuns: 150 },
    )
  })
})

test('holes are told as such, whatever their size', () => {
  const told: string[] = []
  const handler = {
    entry: ({ size }: TarEntry) => void told.push(`file of ${size}`),
    content: (bytes: Buffer) => void told.push(bytes.toString()),
    hole: (bytes: number) => void told.push(`hole of ${bytes}`),
    contentEnd: () => void told.push('end'),
    notice: () => undefined,
  }
  const most = { maxFileBytes: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER }
  const reader = new TarReader(handler, {
    layer: 0,
    limits: { ...DEFAULT_LIMITS, ...most },
    usage: noUsage(),
  })
  const TIB = 1024 ** 4
  reader.write(layer([sparse10('s', 2 * TIB, [[TIB, 'AB']]), oldSparse('t', 8, [[0, 'x']])]))
  expect(told).toEqual([
    `file of ${2 * TIB}`,
    `hole of ${TIB}`,
    'AB',
    `hole of ${TIB - 2}`,
    'end',
    'file of 8',
    'x',
    'hole of 7',
    'end',
  ])
})
