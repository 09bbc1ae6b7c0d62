/** Holes of sparse files are holes on disk: no blocks, no time, and the same bytes for whoever reads. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LayerStore } from '../../../../src/engine/local/layer-store.ts'
import { StoredContent } from '../../../../src/engine/local/stored-content.ts'
import { PickSink } from '../../../../src/engine/local/unpack/pick-sink.ts'
import { layerDamage } from '../../../../src/engine/local/verify/verify-layer.ts'
import { flattenImage } from '../../../../src/rootfs/flatten-image.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import { treeView } from '../../../../src/rootfs/tree.ts'
import { oldSparse, sparse01, sparse10, type Segment } from '../../../conformance/layers/sparse-parts.ts'
import { file, hardlink, layer, type LayerPart } from '../../../support/layer.ts'
import { failureOf } from '../../../support/expected-error.ts'
import { imageOf, IS_ROOT, privateFolder, unpack } from './unpacked.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3

/** Far fewer than the smallest hole below. */
const FEW_BYTES = MIB

const takes = (path: string) => lstatSync(path).blocks * 512

function expanded(size: number, segments: readonly Segment[]): Buffer {
  const content = Buffer.alloc(size)
  for (const [offset, data] of segments) content.write(data, offset, 'latin1')
  return content
}

const MAPS: readonly [string, number, readonly Segment[]][] = [
  ['a hole at its beginning', 30 * MIB, [[30 * MIB - 3, 'end']]],
  ['a hole at its end', 30 * MIB, [[0, 'begin']]],
  [
    'holes between data',
    30 * MIB,
    [
      [0, 'a'],
      [9 * MIB + 1, 'bc'],
      [20 * MIB, 'd'],
      [30 * MIB - 1, 'e'],
    ],
  ],
  ['nothing but a hole', 30 * MIB, []],
]

test.each(MAPS)('a file with %s', async (_title, size, segments) => {
  const target = join(privateFolder(), 'out')
  await unpack(target, [[sparse10('s', size, segments)]], { keepIds: IS_ROOT })
  const path = join(target, 'rootfs/s')
  expect(readFileSync(path).equals(expanded(size, segments))).toBe(true)
  expect(takes(path)).toBeLessThan(FEW_BYTES)
})

test("a hole may be as large as a file may be, whatever the layer's size", async () => {
  const target = join(privateFolder(), 'out')
  const report = await unpack(target, [[oldSparse('s', 64 * GIB, [[63 * GIB, 'x']])]], { keepIds: IS_ROOT })
  expect([report.bytes, lstatSync(join(target, 'rootfs/s')).size]).toEqual([64 * GIB, 64 * GIB])
  expect(takes(join(target, 'rootfs/s'))).toBeLessThan(FEW_BYTES)
})

test.each<[string, readonly LayerPart[], string]>([
  ['a file', [sparse01('s', 1024 * GIB, [])], 'maxFileBytes'],
  ['all files', ['a', 'b', 'c'].map((name) => sparse01(name, 60 * GIB, [])), 'maxBytes'],
])('%s with holes of more bytes than may be is refused', async (_title, parts, limit) => {
  const target = join(privateFolder(), 'out')
  expect(await failureOf(() => unpack(target, [parts], { keepIds: IS_ROOT }))).toMatch(
    new RegExp(`^LimitExceeded: .*${limit}`),
  )
})

describe('in the layer store', () => {
  const parts = [
    ...MAPS.map(([, size, segments], index) => sparse10(`s${index}`, size, segments)),
    file('f', 'plain'),
  ]

  async function stored(image: readonly (readonly LayerPart[])[], name = 'tree'): Promise<string> {
    const folder = privateFolder()
    const store = new LayerStore(join(folder, 'layers'))
    await unpack(join(folder, name), image, {
      keepIds: IS_ROOT,
      shared: (reader, policy) => new StoredContent(store, { policy, limits: DEFAULT_LIMITS }, reader),
      ...(image.length > 1 ? { semantics: 'overlayfs' as const } : {}),
    })
    return folder
  }

  test('check sums are those of the bytes', async () => {
    const folder = await stored([parts])
    const [key = ''] = readdirSync(join(folder, 'layers'))
    expect(await layerDamage(join(folder, 'layers', key), () => undefined)).toBeUndefined()
  })

  test('a copy with attributes of its own has the holes', async () => {
    const twin = hardlink('twin', 's1', { mode: 0o600, uid: 3 })
    const folder = await stored([[file('base', '')], [...parts, twin]])
    const path = join(folder, 'tree/rootfs/twin')
    const [, size = 0, segments = []] = MAPS[1] ?? []
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path).equals(expanded(size, segments))).toBe(true)
    expect(takes(path)).toBeLessThan(FEW_BYTES)
  })
})

test('what is picked for the checks is read as it is', async () => {
  const sink = new PickSink()
  onTestFinished(() => sink.dispose())
  const segments: readonly Segment[] = [
    [3, 'AB'],
    [5000, 'C'],
  ]
  const parts = [
    sparse10('whole.so', 9000, segments),
    sparse10('head', 9000, segments),
    oldSparse('zero.so', 2 * GIB, []),
  ]
  const { tree } = await flattenImage({
    ...imageOf([layer(parts)]),
    sink,
    signal: new AbortController().signal,
  })
  const view = treeView(tree, (content, maxBytes, offset) => sink.read(content, maxBytes, offset))
  const read = (name: string, bytes: number, offset = 0) => view.lookup([name])?.read(bytes, offset)
  const all = expanded(9000, segments)
  expect(read('whole.so', 9999)?.equals(all)).toBe(true)
  expect(read('head', 9999)?.equals(all.subarray(0, 4096))).toBe(true)
  expect(read('zero.so', 9, 2 * GIB - 4)).toEqual(Buffer.alloc(4))
})
