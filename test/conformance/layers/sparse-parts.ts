/** Sparse files as GNU tar writes them, byte by byte: the old header and the three PAX forms. */
import { padded, pax, paxRecords, raw, tarHeader, type LayerPart } from '../../support/layer.ts'

/** Where data begins, and the data. */
export type Segment = readonly [offset: number, data: string]

export interface SparseOptions {
  /** What the map says instead of the segments' own offsets and lengths. */
  readonly map?: readonly (readonly [number, number])[]
}

function mapOf(segments: readonly Segment[], { map }: SparseOptions): readonly (readonly [number, number])[] {
  return map ?? segments.map(([offset, data]) => [offset, data.length])
}

function dataOf(segments: readonly Segment[]): Buffer {
  return Buffer.from(segments.map(([, data]) => data).join(''), 'latin1')
}

/** Type `S`: four segments in the header, 21 in each block that follows it. */
export function oldSparse(
  name: string,
  realSize: number,
  segments: readonly Segment[],
  options: SparseOptions = {},
): LayerPart {
  const data = dataOf(segments)
  const fields = mapOf(segments, options).map(([offset, length]) =>
    Buffer.concat([octal(offset), octal(length)]),
  )
  const blocks: Buffer[] = []
  for (let at = 4; at < fields.length; at += 21) {
    const block = Buffer.alloc(512)
    Buffer.concat(fields.slice(at, at + 21)).copy(block)
    block[504] = at + 21 < fields.length ? 1 : 0
    blocks.push(block)
  }
  const header = tarHeader({
    name,
    type: 'S',
    format: 'gnu',
    size: data.length,
    overwrite: {
      386: Buffer.concat(fields.slice(0, 4)),
      482: Buffer.from([blocks.length > 0 ? 1 : 0]),
      483: octal(realSize),
    },
  })
  return Buffer.concat([header, ...blocks, padded(data)])
}

/** PAX 0.0: a record for each number, the name in its usual place. */
export function sparse00(
  name: string,
  realSize: number,
  segments: readonly Segment[],
  options: SparseOptions = {},
): LayerPart {
  const map = mapOf(segments, options)
  const records: [string, string][] = [
    ['GNU.sparse.size', `${realSize}`],
    ['GNU.sparse.numblocks', `${map.length}`],
    ...map.flatMap(([offset, length]): [string, string][] => [
      ['GNU.sparse.offset', `${offset}`],
      ['GNU.sparse.numbytes', `${length}`],
    ]),
  ]
  const header = paxRecords(records)
  const data = dataOf(segments)
  return Buffer.concat([
    tarHeader({ name: 'PaxHeaders/sparse', type: 'x', size: header.length }),
    padded(header),
    tarHeader({ name, type: '0', size: data.length }),
    padded(data),
  ])
}

/** PAX 0.1: the map in one record, the name in another. */
export function sparse01(
  name: string,
  realSize: number,
  segments: readonly Segment[],
  options: SparseOptions = {},
): LayerPart {
  const data = dataOf(segments)
  const map = mapOf(segments, options)
  return Buffer.concat([
    pax({
      'GNU.sparse.size': `${realSize}`,
      'GNU.sparse.numblocks': `${map.length}`,
      'GNU.sparse.name': name,
      'GNU.sparse.map': map.flat().join(','),
    }),
    tarHeader({ name: `GNUSparseFile.1/${name}`, type: '0', size: data.length }),
    raw(padded(data)),
  ])
}

/** PAX 1.0: the map in front of the data, in blocks of its own. */
export function sparse10(
  name: string,
  realSize: number,
  segments: readonly Segment[],
  options: SparseOptions = {},
): LayerPart {
  const map = mapOf(segments, options)
  return sparse10Raw(name, realSize, `${[map.length, ...map.flat()].join('\n')}\n`, dataOf(segments))
}

/** PAX 1.0 with any text as its map. */
export function sparse10Raw(name: string, realSize: number, map: string, data: Buffer): LayerPart {
  const content = Buffer.concat([padded(Buffer.from(map)), data])
  return Buffer.concat([
    pax({
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': name,
      'GNU.sparse.realsize': `${realSize}`,
    }),
    tarHeader({ name: `GNUSparseFile.1/${name}`, type: '0', size: content.length }),
    raw(padded(content)),
  ])
}

/** Octal with a NUL, in base 256 where that does not fit. */
function octal(value: number): Buffer {
  const text = value.toString(8)
  if (value >= 0 && text.length < 12) return Buffer.from(`${text.padStart(11, '0')}\0`)
  const field = Buffer.alloc(12)
  field.writeBigInt64BE(BigInt(value), 4)
  field.fill(value < 0 ? 0xff : 0, 0, 4)
  field[0] = 0x80 | (field[0] ?? 0)
  return field
}
