/** The tar parser: every format it reads, everything it refuses, and that chunk borders never matter. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { XATTR_COST_BYTES } from '../../src/rootfs/limits.ts'
import type { LayerEntry, LayerLimits } from '../../src/rootfs/types.ts'
import {
  dir,
  file,
  gnuLong,
  hardlink,
  layer,
  padded,
  pax,
  paxGlobal,
  paxRecords,
  raw,
  symlink,
  tarHeader,
  type LayerPart,
} from '../support/layer.ts'
import { failureOf, readTar } from './flattened.ts'

/** Only what a row is about. */
function brief({ path, type, linkTarget, content, mode, uid, gid, size, mtime, device, xattrs }: LayerEntry) {
  return {
    path,
    type,
    linkTarget,
    content: content?.bytes?.toString('latin1'),
    mode,
    uid,
    gid,
    size,
    mtime: `${mtime.seconds}+${mtime.nanoseconds}`,
    device: device === undefined ? undefined : `${device.major}:${device.minor}`,
    xattrs: Object.fromEntries([...xattrs].map(([name, value]) => [name, value.toString('hex')])),
  }
}

const LONG = 'n'.repeat(300)

describe('an entry', () => {
  test.each<[string, readonly LayerPart[], Partial<ReturnType<typeof brief>>]>([
    [
      'has its ustar fields',
      [file('a', 'text', { mode: 0o4751, uid: 1, gid: 2, mtime: 3 })],
      { path: 'a', type: 'file', content: 'text', mode: 0o4751, uid: 1, gid: 2, size: 4, mtime: '3+0' },
    ],
    ['joins the ustar prefix', [tarHeader({ name: 'f', prefix: 'p/q', type: '0' })], { path: 'p/q/f' }],
    [
      'does not read GNU times as a prefix',
      [tarHeader({ name: 'f', type: '0', format: 'gnu', prefix: '12345670123' })],
      { path: 'f' },
    ],
    [
      'reads only 131 bytes of prefix in star archives',
      [
        tarHeader({
          name: 'f',
          type: '0',
          prefix: 'p',
          overwrite: { 476: Buffer.from('00000001'), 508: Buffer.from('tar\0') },
        }),
      ],
      { path: 'p/f' },
    ],
    [
      'uses all 100 bytes of a name without NUL',
      [tarHeader({ name: 'n'.repeat(100), type: '0' })],
      { path: 'n'.repeat(100) },
    ],
    [
      'takes a GNU long name',
      [gnuLong('L', LONG), tarHeader({ name: 'cut', type: '0', format: 'gnu' })],
      { path: LONG },
    ],
    [
      'takes a GNU long link',
      [gnuLong('K', LONG), tarHeader({ name: 'l', type: '2', linkName: 'cut', format: 'gnu' })],
      { path: 'l', linkTarget: LONG },
    ],
    [
      'takes both in either order',
      [gnuLong('K', 'link'), gnuLong('L', 'name'), tarHeader({ name: 'x', type: '1' })],
      { path: 'name', linkTarget: 'link' },
    ],
    [
      'prefers PAX to GNU',
      [gnuLong('L', 'gnu'), pax({ path: 'pax' }), tarHeader({ name: 'x', type: '0' })],
      { path: 'pax' },
    ],
    [
      'prefers PAX to the header',
      [
        pax({ path: 'p', size: '3', uid: '4000000', gid: '5', mtime: '6.5' }),
        tarHeader({ name: 'x', type: '0', size: 9, uid: 1, gid: 1 }),
        raw(padded(Buffer.from('abc'))),
      ],
      { path: 'p', content: 'abc', uid: 4_000_000, gid: 5, mtime: '6+500000000' },
    ],
    [
      'keeps the header where a PAX value is empty',
      [pax({ path: '', uid: '' }), tarHeader({ name: 'x', type: '0', uid: 7 })],
      { path: 'x', uid: 7 },
    ],
    [
      'keeps names that are not UTF-8',
      [
        pax({ hdrcharset: 'BINARY', path: Buffer.from([0xff, 0x2f, 0xe9]) }),
        tarHeader({ name: 'x', type: '0' }),
      ],
      { path: '\u00ff/\u00e9' },
    ],
    [
      'keeps xattrs byte for byte',
      [
        file('a', '', {
          xattrs: { 'security.capability': Buffer.from([0x80, 0, 0xff, 0x0a, 0x3d]), 'user.e': '' },
        }),
      ],
      { xattrs: { 'security.capability': '8000ff0a3d', 'user.e': '' } },
    ],
    [
      'reads LIBARCHIVE xattrs',
      [pax({ 'LIBARCHIVE.xattr.user.a%20b': 'gP8' }), tarHeader({ name: 'x', type: '0' })],
      { xattrs: { 'user.a b': '80ff' } },
    ],
    [
      'prefers SCHILY xattrs',
      [
        pax({ 'SCHILY.xattr.user.a': 'S', 'LIBARCHIVE.xattr.user.a': 'TA==' }),
        tarHeader({ name: 'x', type: '0' }),
      ],
      { xattrs: { 'user.a': '53' } },
    ],
    [
      'keeps labels that are no xattr records, to be reported',
      [pax({ 'RHT.security.selinux': 'label' }), tarHeader({ name: 'x', type: '0' })],
      { xattrs: { 'RHT.security.selinux': '6c6162656c' } },
    ],
    [
      'reads base-256 numbers',
      [tarHeader({ name: 'x', type: '0', uid: 2 ** 31, gid: 2 ** 32 - 2, mtime: 2 ** 34 })],
      { uid: 2 ** 31, gid: 2 ** 32 - 2, mtime: `${2 ** 34}+0` },
    ],
    ['reads negative base-256 times', [tarHeader({ name: 'x', type: '0', mtime: -1 })], { mtime: '-1+0' }],
    ['reads negative fractions', [file('x', '', { mtime: '-0.000000001' })], { mtime: '-1+999999999' }],
    [
      'cuts times below a nanosecond towards the past',
      [file('x', '', { mtime: '-1.5000000001' })],
      { mtime: '-2+499999999' },
    ],
    [
      'takes an empty number field as zero',
      [
        tarHeader({
          name: 'x',
          type: '0',
          overwrite: { 108: Buffer.alloc(8), 116: Buffer.from('        ') },
        }),
      ],
      { uid: 0, gid: 0 },
    ],
    [
      'takes leading spaces in numbers',
      [tarHeader({ name: 'x', type: '0', overwrite: { 108: Buffer.from('     17 ') } })],
      { uid: 15 },
    ],
    [
      'is a file for the old NUL type',
      [tarHeader({ name: 'x', type: '\0', format: 'v7' })],
      { type: 'file' },
    ],
    [
      'is a directory for the old NUL type with a slash',
      [tarHeader({ name: 'x/', type: '\0', format: 'v7' })],
      { type: 'directory' },
    ],
    ['is a directory for type 0 with a slash', [tarHeader({ name: 'x/', type: '0' })], { type: 'directory' }],
    [
      'ignores what V7 has in place of device numbers',
      [tarHeader({ name: 'x', type: '0', format: 'v7', overwrite: { 329: Buffer.from('garbage!') } })],
      { type: 'file' },
    ],
    [
      'is a file for the contiguous type 7',
      [tarHeader({ name: 'x', type: '7', size: 1 }), raw(padded(Buffer.from('c')))],
      { type: 'file', content: 'c' },
    ],
    [
      'has a device number',
      [tarHeader({ name: 'x', type: '4', major: 8, minor: 300 })],
      { type: 'block', device: '8:300' },
    ],
    [
      'has no content as a link, whatever its size field says',
      [tarHeader({ name: 'x', type: '2', linkName: 't', size: 512 })],
      { size: 0, content: undefined },
    ],
    [
      'has no content as a directory, whatever PAX says',
      [pax({ size: '4096' }), tarHeader({ name: 'x/', type: '5' })],
      { size: 0 },
    ],
    [
      'has no permission bits beyond 7777',
      [tarHeader({ name: 'x', type: '0', mode: 0o100644 })],
      { mode: 0o644 },
    ],
    ['is as PAX says even with a signed checksum in front', [signedChecksum()], { path: '\u00e9' }],
  ])('%s', (_title, parts, expected) => {
    const [entry, ...rest] = readTar(layer(parts))
    expect(rest).toEqual([])
    expect(entry === undefined ? undefined : brief(entry)).toMatchObject(expected)
  })
})

/** Some old writers summed signed chars. */
function signedChecksum(): Buffer {
  const header = tarHeader({ name: Buffer.from([0xe9]), type: '0' })
  const unsigned = Number.parseInt(header.toString('latin1', 148, 154), 8)
  header.write((unsigned - 256).toString(8).padStart(6, '0'), 148, 6, 'latin1')
  return header
}

function binaryChecksum(): Buffer {
  const header = tarHeader({ name: 'x', type: '0' })
  const sum = Number.parseInt(header.toString('latin1', 148, 154), 8)
  header.fill(0, 148, 156)
  header[148] = 0x80
  header.writeUInt32BE(sum, 152)
  return header
}

/** Parts, and how many bytes of metadata they are. */
const METADATA: readonly (readonly [string, readonly LayerPart[], number])[] = [
  ['names', [dir('ab'), file('cde')], 'ab/'.length + 'cde'.length],
  ['link targets', [symlink('a', '/bc'), hardlink('d', 'a')], 'a/bc'.length + 'da'.length],
  ['extended headers', [pax({ comment: 'x' }), file('a')], '13 comment=x\n'.length + 'a'.length],
  ['GNU names', [gnuLong('L', 'ab'), file('x')], 'ab\0'.length + 'ab'.length],
  ['global headers', [paxGlobal({ comment: 'x' })], '13 comment=x\n'.length],
  [
    'tiny attributes',
    [file('a', '', { xattrs: { 'user.a': '', 'user.b': '' } })],
    2 * '23 SCHILY.xattr.user.a=\n'.length + 2 * XATTR_COST_BYTES + 'a'.length,
  ],
]

test.each(METADATA)('%s may take as much as is allowed, and no more', (_what, parts, bytes) => {
  expect(failureOf(() => readTar(layer(parts), { maxMetadataBytes: bytes }))).toBe('no error')
})

describe('the end of an archive', () => {
  const entries = [file('a', 'x'), dir('d')]
  test.each<[string, Buffer, number]>([
    ['may have two zero blocks', layer(entries), 2],
    ['may have one', layer(entries, { endBlocks: 1 }), 2],
    ['may have none', layer(entries, { endBlocks: 0 }), 2],
    ['hides entries that follow it', Buffer.concat([layer(entries), layer([file('hidden', '')])]), 2],
    ['may be followed by anything', Buffer.concat([layer(entries), Buffer.from('garbage of any length')]), 2],
    ['may lack what fills up the last block', layer([file('a', 'x')]).subarray(0, 600), 1],
    ['may be all there is', layer([]), 0],
    ['may be missing in an empty stream', Buffer.alloc(0), 0],
  ])('%s', (_title, tar, count) => {
    expect(readTar(tar)).toHaveLength(count)
  })
})

describe('an archive is refused', () => {
  const one = layer([file('some', 'content')], { endBlocks: 0 })
  test.each<[string, Buffer, string, Partial<LayerLimits>?]>([
    [
      'for a wrong checksum',
      Buffer.concat([Buffer.from('X'), one.subarray(1)]),
      'InvalidLayer: layer 0: the header checksum does not match',
    ],
    ['for text', Buffer.alloc(512, 'text '), 'InvalidLayer: layer 0: the header checksum'],
    [
      'for a lone zero block between entries',
      Buffer.concat([one, Buffer.alloc(512), one]),
      'InvalidLayer: layer 0 (some): a lone zero block',
    ],
    ['for a truncated header', one.subarray(0, 300), 'InvalidLayer: layer 0: the archive ends in the middle'],
    [
      'for truncated content',
      one.subarray(0, 514),
      'InvalidLayer: layer 0 (some): the archive ends in the middle',
    ],
    [
      'for a PAX header without entry',
      layer([pax({ path: 'x' })]),
      'InvalidLayer: layer 0: an extended header is not followed',
    ],
    [
      'for a PAX header without padding and entry',
      layer([pax({ path: 'x' })]).subarray(0, 600),
      'InvalidLayer: layer 0: an extended header is not followed',
    ],
    [
      'for a GNU name without entry',
      layer([gnuLong('L', 'x')], { endBlocks: 0 }),
      'InvalidLayer: layer 0: an extended header is not followed',
    ],
    [
      'for a truncated PAX header',
      layer([pax({ path: 'x' })]).subarray(0, 515),
      'InvalidLayer: layer 0: the archive ends in the middle',
    ],
    [
      'for a field that is no number',
      layer([tarHeader({ name: 'x', type: '0', overwrite: { 108: Buffer.from('12x') } })]),
      'InvalidLayer: layer 0: the header field uid is not a number',
    ],
    [
      'for digits beyond octal',
      layer([tarHeader({ name: 'x', type: '0', overwrite: { 124: Buffer.from('00000000009') } })]),
      'the header field size is not a number',
    ],
    [
      'for a number beyond 2^53',
      layer([
        tarHeader({
          name: 'x',
          type: '0',
          overwrite: { 124: Buffer.from([0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0]) },
        }),
      ]),
      'the header field size is not a number',
    ],
    [
      'for a time of star that is none',
      layer([
        tarHeader({
          name: 'x',
          type: '0',
          overwrite: { 476: Buffer.from('now'), 508: Buffer.from('tar\0') },
        }),
      ]),
      'the header field atime is not a number',
    ],
    [
      'for a checksum in base 256, which no writer has',
      layer([binaryChecksum()]),
      'InvalidLayer: layer 0: the header checksum does not match',
    ],
    [
      'for a negative size',
      layer([tarHeader({ name: 'x', type: '0', size: -1 })]),
      'InvalidLayer: layer 0 (x): the size -1 is not a number of bytes',
    ],
    [
      'for a negative size of a PAX header',
      layer([tarHeader({ name: 'x', type: 'x', size: -512 })]),
      'an extended header has a negative size',
    ],
    [
      'for a size that is no number',
      layer([pax({ size: '0x10' }), tarHeader({ name: 'x', type: '0' })]),
      'the size 0x10 is not a number of bytes',
    ],
    [
      'for uid 2^32-1',
      layer([file('x', '', { uid: 2 ** 32 - 1 })]),
      'InvalidLayer: layer 0 (x): uid 4294967295 is not an id between 0 and 4294967294',
    ],
    [
      'for gid 2^32-1 in base 256',
      layer([tarHeader({ name: 'x', type: '0', gid: 2 ** 32 - 1 })]),
      'gid 4294967295 is not an id',
    ],
    ['for a negative uid', layer([tarHeader({ name: 'x', type: '0', uid: -1 })]), 'uid -1 is not an id'],
    [
      'for a uid that is no number',
      layer([pax({ uid: 'root' }), tarHeader({ name: 'x', type: '0' })]),
      'uid root is not an id',
    ],
    [
      'for a time that is no number',
      layer([pax({ mtime: 'now' }), tarHeader({ name: 'x', type: '0' })]),
      'mtime now is not a number of seconds',
    ],
    [
      'for a negative device number',
      layer([tarHeader({ name: 'x', type: '3', major: -1 })]),
      'device -1:0 has a negative number',
    ],
    [
      'for a NUL in a PAX name',
      layer([pax({ path: 'a\0b' }), tarHeader({ name: 'x', type: '0' })]),
      'contains a NUL byte',
    ],
    [
      'for a NUL in a PAX link',
      layer([pax({ linkpath: 'a\0b' }), tarHeader({ name: 'x', type: '2' })]),
      'contains a NUL byte',
    ],
    [
      'for a volume label',
      layer([tarHeader({ name: 'x', type: 'V' })]),
      "typeflag 'V' (a GNU volume label) is not supported",
    ],
    ['for a multi-volume part', layer([tarHeader({ name: 'x', type: 'M' })]), "typeflag 'M'"],
    [
      'for an unknown type',
      layer([tarHeader({ name: 'x', type: 'Z' })]),
      "typeflag 'Z' (unknown) is not supported",
    ],
    [
      'for a control character as type',
      layer([tarHeader({ name: 'x', type: '\u001b' })]),
      "typeflag '\\u001b' (unknown)",
    ],
    [
      'for content under a name with a slash',
      layer([file('x/', 'content')]),
      'a file with content has a name that ends in "/"',
    ],
    [
      'for a file beyond the limit',
      layer([file('x', 'content')]),
      'LimitExceeded: layer 0 (x): a file of 7 bytes; maxFileBytes is 6',
      { maxFileBytes: 6 },
    ],
    [
      'for a promised size beyond the limit',
      layer([tarHeader({ name: 'x', type: '0', size: 2 ** 50 })]),
      'LimitExceeded: layer 0 (x): a file of 1125899906842624 bytes',
    ],
    [
      'for too many entries',
      layer([file('a', ''), file('b', '')]),
      'LimitExceeded: layer 0 (b): more than 1 entries (maxEntries)',
      { maxEntries: 1 },
    ],
    [
      'for a name beyond the limit',
      layer([file('abcd', '')]),
      'LimitExceeded: layer 0 (abcd): a name of 4 bytes; maxPathBytes is 3',
      { maxPathBytes: 3 },
    ],
    [
      'for a PAX header beyond the limit',
      layer([pax({ path: 'x'.repeat(100) }), file('x', '')]),
      'maxPaxBytes is 50',
      { maxPaxBytes: 50 },
    ],
    [
      'for a promised PAX header of a gigabyte',
      layer([tarHeader({ name: 'x', type: 'x', size: 2 ** 30 })]),
      'LimitExceeded: layer 0: an extended header has 1073741824 bytes',
    ],
    [
      'for xattrs beyond the limit',
      layer([file('x', '', { xattrs: { 'user.a': '12345' } })]),
      'LimitExceeded: layer 0 (x): 11 bytes of extended attributes; maxXattrBytes is 10',
      { maxXattrBytes: 10 },
    ],
    [
      'for too many xattrs on one entry',
      layer([file('x', '', { xattrs: { 'user.a': '', 'user.b': '', 'user.c': '' } })]),
      'LimitExceeded: layer 0 (x): 3 extended attributes; maxXattrs is 2',
      { maxXattrs: 2 },
    ],
    ...METADATA.map(([what, parts, bytes]): [string, Buffer, string, Partial<LayerLimits>] => [
      `for ${what} beyond what all entries may have`,
      layer(parts),
      `: more than ${bytes - 1} bytes of names, link targets and extended attributes in all layers (maxMetadataBytes)`,
      { maxMetadataBytes: bytes - 1 },
    ]),
  ])('%s', (_title, tar, message, limits) => {
    expect(failureOf(() => readTar(tar, limits))).toContain(message)
  })

  test.each([
    ['without length', ' path=x\n'],
    ['with a length that is too short', '3 path=x\n'],
    ['with a length beyond the header', '99 path=x\n'],
    ['with a huge length', '99999999999 path=x\n'],
    ['without newline', '9 path=xy'],
    ['without "="', '8 pathx\n'],
    ['without a key', '5 =x\n'],
    ['with a signed length', '+9 path=x\n'],
    ['with a length of zero', '0 path=x\n'],
    ['followed by NULs', `${paxRecords([['path', 'x']]).toString()}\0\0\0`],
  ])('for a PAX record %s', (_title, content) => {
    const bytes = Buffer.from(content, 'latin1')
    const header = tarHeader({ name: 'PaxHeaders', type: 'x', size: bytes.length })
    expect(failureOf(() => readTar(layer([header, raw(padded(bytes)), file('f', '')])))).toMatch(
      /^InvalidLayer: layer 0: malformed PAX record/,
    )
  })
})

describe('for any archive', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', 'b', '/', '.', 'é', '\n'),
    minLength: 1,
    maxLength: 130,
  })
  const part = fc.oneof(
    fc
      .tuple(name, fc.uint8Array({ maxLength: 1500 }))
      .map(([path, bytes]) => file(path.replace(/\/+$/, '') || 'x', Buffer.from(bytes), { mtime: '1.25' })),
    name.map((path) => dir(path)),
    fc.tuple(name, name).map(([path, target]) => symlink(path, target)),
    fc.tuple(name, name).map(([path, target]) => hardlink(path, target)),
  )

  test('chunk borders make no difference', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.integer({ min: 1, max: 1200 }), (parts, cut) => {
        const tar = layer(parts)
        expect(readTar(tar, {}, cut)).toEqual(readTar(tar))
      }),
    )
  })

  test('cutting it anywhere gives fewer entries or an error, never other ones', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.nat(), (parts, seed) => {
        const tar = layer(parts, { endBlocks: 0 })
        const whole = readTar(tar)
        const cut = tar.subarray(0, seed % tar.length)
        let entries: readonly LayerEntry[] = []
        const failure = failureOf(() => {
          entries = readTar(cut)
        })
        expect(failure).toMatch(/^(?:no error|InvalidLayer: )/)
        expect(entries).toEqual(whole.slice(0, entries.length))
      }),
    )
  })

  test('random bytes never do anything but fail cleanly', () => {
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 3 }),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        (parts, seed, byte) => {
          const tar = Buffer.from(layer(parts))
          tar[seed % tar.length] = byte
          expect(failureOf(() => readTar(tar))).toMatch(/^(?:no error|InvalidLayer|LimitExceeded)/)
        },
      ),
      { numRuns: 300 },
    )
  })
})
