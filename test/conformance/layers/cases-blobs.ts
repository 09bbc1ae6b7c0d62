/** Blobs: compression, media types, digests, and what is too much. */
import { createHash } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Digest } from '../../../src/image/types.ts'
import { dir, file, pax, raw, tarHeader } from '../../support/layer.ts'
import { MEDIA_TYPES } from '../../support/layout.ts'
import { gives, refuses, tarLayer, type CaseLayer, type LayerCase } from './case.ts'

const { layer: TYPES } = MEDIA_TYPES.oci
const ONE = [file('f', 'content')]
const TREE = ['f "content"']
const NULS: Buffer = Buffer.alloc(1024)
const JUNK: Buffer = Buffer.from('junk after the stream')
const other = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`

/** A layer of ONE, packed as told. */
function packed(mediaType: string, blob: (tar: Buffer) => Buffer): CaseLayer {
  return tarLayer(ONE, { mediaType, blob: (_, tar) => blob(tar) })
}
const gzip = (blob: (tar: Buffer) => Buffer): CaseLayer => packed(TYPES.gzip, blob)
const zstd = (blob: (tar: Buffer) => Buffer): CaseLayer => packed(TYPES.zstd, blob)

/** Cut anywhere: members and frames know nothing of entries. */
const [first, second] = [(tar: Buffer) => tar.subarray(0, 700), (tar: Buffer) => tar.subarray(700)]
const twoMembers = (tar: Buffer, between: Buffer): Buffer =>
  Buffer.concat([gzipSync(first(tar)), between, gzipSync(second(tar))])
const twoFrames = (tar: Buffer, between: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([zstdCompressSync(first(tar)), between, zstdCompressSync(second(tar))])

/** RFC 8878 §3.1.2. */
function skippable(content: string): Buffer {
  const header = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, content.length, 0, 0, 0])
  return Buffer.concat([header, Buffer.from(content)])
}

const STRICT =
  "Go's gzip, which containerd, Docker, buildah and umoci read layers with, refuses it: such an image runs nowhere"

export const BLOB_CASES: readonly LayerCase[] = [
  gives('60a', 'gzip of several members', [gzip((tar) => twoMembers(tar, Buffer.alloc(0)))], TREE),
  gives('60b', 'a gzip member after padding', [gzip((tar) => twoMembers(tar, NULS))], TREE, {
    why: 'zlib alone would stop at the padding and cut the layer short without an error',
  }),
  gives('60c', 'padding after gzip', [gzip((tar) => Buffer.concat([gzipSync(tar), NULS]))], TREE, {
    why: "gzip(1) allows zeros at the end; the blob's digest covers them",
  }),
  refuses(
    '60d',
    'junk after gzip',
    [gzip((tar) => Buffer.concat([gzipSync(tar), JUNK]))],
    'InvalidLayer',
    'gzip',
    {
      why: STRICT,
    },
  ),
  refuses(
    '60e',
    'junk after gzip and padding',
    [gzip((tar) => Buffer.concat([gzipSync(tar), NULS, JUNK]))],
    'InvalidLayer',
    'no gzip',
    { why: STRICT },
  ),
  refuses(
    '60f',
    'a wrong CRC',
    [
      gzip((tar) =>
        Buffer.concat([gzipSync(tar).subarray(0, -8), Buffer.alloc(4, 1), gzipSync(tar).subarray(-4)]),
      ),
    ],
    'InvalidLayer',
    'gzip stream',
  ),
  refuses(
    '60g',
    'a wrong length',
    [gzip((tar) => Buffer.concat([gzipSync(tar).subarray(0, -4), Buffer.alloc(4, 1)]))],
    'InvalidLayer',
    'gzip stream',
  ),
  refuses(
    '60h',
    'truncated gzip',
    [gzip((tar) => gzipSync(tar).subarray(0, -12))],
    'InvalidLayer',
    'gzip stream',
  ),
  refuses(
    '60i',
    'gzip without its trailer',
    [gzip((tar) => gzipSync(tar).subarray(0, -8))],
    'InvalidLayer',
    'gzip stream',
  ),
  refuses(
    '60j',
    'a truncated second member',
    [gzip((tar) => twoMembers(tar, Buffer.alloc(0)).subarray(0, -12))],
    'InvalidLayer',
    'gzip stream',
  ),
  gives('60k', 'an empty member between others', [gzip((tar) => twoMembers(tar, gzipSync('')))], TREE),
  gives('61a', 'zstd of several frames', [zstd((tar) => twoFrames(tar))], TREE),
  gives(
    '61b',
    'a skippable frame first',
    [zstd((tar) => Buffer.concat([skippable('toc'), zstdCompressSync(tar)]))],
    TREE,
  ),
  gives('61c', 'a skippable frame in the middle', [zstd((tar) => twoFrames(tar, skippable('middle')))], TREE),
  gives(
    '61d',
    'a skippable frame last',
    [zstd((tar) => Buffer.concat([zstdCompressSync(tar), skippable('end')]))],
    TREE,
  ),
  refuses(
    '61e',
    'a window of 3 GiB',
    [zstd(() => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xac, 0x01, 0, 0]))],
    'LimitExceeded',
    'window',
  ),
  refuses(
    '61f',
    'truncated zstd',
    [zstd((tar) => zstdCompressSync(tar).subarray(0, -3))],
    'InvalidLayer',
    'zstd stream',
  ),
  refuses(
    '61g',
    'a truncated second frame',
    [zstd((tar) => twoFrames(tar).subarray(0, -3))],
    'InvalidLayer',
    'zstd stream',
  ),
  refuses(
    '61h',
    'junk after zstd',
    [zstd((tar) => Buffer.concat([zstdCompressSync(tar), JUNK]))],
    'InvalidLayer',
    'no frame',
    {
      why: 'RFC 8878 knows nothing but frames, and every decoder refuses it',
    },
  ),
  refuses(
    '61i',
    'zeros after zstd',
    [zstd((tar) => Buffer.concat([zstdCompressSync(tar), NULS]))],
    'InvalidLayer',
    'no frame',
  ),
  gives(
    '61j',
    'a frame with a checksum',
    [zstd((tar) => zstdCompressSync(tar, { params: { 201: 1 } }))],
    TREE,
  ),
  gives('62a', 'zstd that says gzip', [packed(TYPES.gzip, (tar) => zstdCompressSync(tar))], TREE, {
    dropped: ['media-type'],
  }),
  gives('62b', 'tar that says gzip', [packed(TYPES.gzip, (tar) => tar)], TREE, { dropped: ['media-type'] }),
  gives('62c', 'gzip that says tar', [packed(TYPES.none, (tar) => gzipSync(tar))], TREE, {
    dropped: ['media-type'],
  }),
  gives('62d', 'gzip that says zstd', [packed(TYPES.zstd, (tar) => gzipSync(tar))], TREE, {
    dropped: ['media-type'],
  }),
  gives('62h', 'zstd that says tar', [packed(TYPES.none, (tar) => zstdCompressSync(tar))], TREE, {
    dropped: ['media-type'],
  }),
  refuses(
    '62e',
    'an encrypted layer',
    [tarLayer(ONE, { mediaType: `${TYPES.gzip}+encrypted` })],
    'UnsupportedMediaType',
    'encrypted',
  ),
  refuses(
    '62f',
    'a layer that is no file system',
    [tarLayer(ONE, { mediaType: 'application/vnd.in-toto+json' })],
    'UnsupportedMediaType',
    'in-toto',
  ),
  refuses(
    '63a',
    'a wrong digest of the blob',
    [tarLayer(ONE, { lies: { digest: other('x') } })],
    'DigestMismatch',
    '',
  ),
  refuses('63b', 'a size that is too small', [tarLayer(ONE, { lies: { size: 1535 } })], 'DigestMismatch', ''),
  refuses('63c', 'a size that is too large', [tarLayer(ONE, { lies: { size: 4096 } })], 'DigestMismatch', ''),
  refuses(
    '63d',
    'a wrong DiffID',
    [tarLayer(ONE, { lies: { diffId: other('x') } })],
    'DigestMismatch',
    'DiffID',
  ),
  refuses(
    '63e',
    'bytes after the archive that the DiffID leaves out',
    [tarLayer(ONE, { compress: 'gzip', blob: (_, tar) => gzipSync(Buffer.concat([tar, JUNK])) })],
    'DigestMismatch',
    'DiffID',
  ),
  refuses(
    '63f',
    'damaged gzip under a wrong digest',
    [
      tarLayer(ONE, {
        compress: 'gzip',
        blob: (blob) => blob.subarray(0, -12),
        lies: { digest: other('x') },
      }),
    ],
    'DigestMismatch',
    '',
    { why: 'the digest is the true reason, though decompression fails first' },
  ),
  refuses('64a', 'fewer diff_ids than layers', [ONE, [file('g')]], 'InvalidConfig', 'diff_ids', {
    diffIds: [tarLayer(ONE).diffId],
  }),
  refuses('64b', 'more diff_ids than layers', [ONE], 'InvalidConfig', 'diff_ids', {
    diffIds: [tarLayer(ONE).diffId, tarLayer(ONE).diffId],
  }),
  gives('64c', 'one layer twice', [ONE, ONE], TREE),
  gives('64d', 'history with steps that made no layer', [ONE], TREE, {
    config: { history: [{ created_by: 'ADD' }, { created_by: 'ENV', empty_layer: true }] },
  }),
  refuses('64e', 'diff_ids in the wrong order', [ONE, [file('g')]], 'DigestMismatch', 'DiffID', {
    diffIds: [tarLayer([file('g')]).diffId, tarLayer(ONE).diffId],
  }),
  refuses(
    '65a',
    'far more bytes than the blob can honestly hold',
    [tarLayer([file('z', Buffer.alloc(70 * 1024 ** 2))], { compress: 'gzip' })],
    'LimitExceeded',
    'maxRatio',
    { limits: { maxRatio: 100 } },
  ),
  refuses(
    '65b',
    'more bytes than all layers may have',
    [[file('a', Buffer.alloc(600))], [file('b', Buffer.alloc(600))]],
    'LimitExceeded',
    'maxBytes',
    {
      limits: { maxBytes: 3000 },
    },
  ),
  refuses(
    '65d',
    'more entries than all layers may have',
    [
      [file('a'), file('b')],
      [file('c'), file('d')],
    ],
    'LimitExceeded',
    'maxEntries',
    {
      limits: { maxEntries: 3 },
    },
  ),
  refuses('65e', 'deeper than any path can be used', [[file('d/'.repeat(300))]], 'LimitExceeded', 'maxDepth'),
  refuses(
    '65f',
    'a PAX header of 1 GiB',
    [[tarHeader({ name: 'x', type: 'x', size: 1024 ** 3 })]],
    'LimitExceeded',
    'maxPaxBytes',
  ),
  refuses(
    '65g',
    'a PAX record that says 1 GiB',
    [
      [
        tarHeader({ name: 'x', type: 'x', size: 512 }),
        raw(Buffer.from('1073741824 path=x\n'.padEnd(512, 'y'))),
        file('f'),
      ],
    ],
    'InvalidLayer',
    'malformed PAX record',
  ),
  refuses(
    '65h',
    'a file that says 1 PiB',
    [[tarHeader({ name: 'f', type: '0', size: 2 ** 50 })]],
    'LimitExceeded',
    'maxFileBytes',
  ),
  refuses(
    '65i',
    'a thousand extended attributes',
    [
      [
        pax(Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`SCHILY.xattr.user.${at}`, '']))),
        file('f'),
      ],
    ],
    'LimitExceeded',
    'maxXattrs',
  ),
  gives(
    '66a',
    'a layer that is fetched from elsewhere',
    [
      tarLayer(ONE, {
        mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar',
        descriptor: { urls: ['http://127.0.0.1:1/never-asked'] },
      }),
    ],
    TREE,
    { why: 'urls are never followed: the bytes come from where the image comes from, or not at all' },
  ),
  gives(
    '66b',
    'a layer that must not be distributed',
    [
      tarLayer(ONE, {
        compress: 'gzip',
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      }),
    ],
    TREE,
  ),
  gives(
    '66c',
    'a layer whose bytes stand in its descriptor',
    [tarLayer(ONE, { descriptor: { data: tarLayer(ONE).blob.toString('base64') } })],
    TREE,
  ),
  refuses(
    '66d',
    'other bytes in the descriptor than it promises',
    [tarLayer(ONE, { descriptor: { data: Buffer.from('other').toString('base64') } })],
    'DigestMismatch',
    '',
  ),
  gives(
    '70a',
    "eStargz's table of contents and landmark",
    [
      tarLayer([file('.prefetch.landmark', 'f', {}), ...ONE, file('stargz.index.json', '{"version":1}')], {
        mediaType: TYPES.gzip,
        blob: (_, tar) =>
          Buffer.concat([
            gzipSync(tar.subarray(0, 1024)),
            gzipSync(tar.subarray(1024, 2048)),
            gzipSync(tar.subarray(2048)),
          ]),
      }),
    ],
    ['.prefetch.landmark "f"', ...TREE, 'stargz.index.json "{\\"version\\":1}"'],
    {
      why: 'they are entries like any other: the image spec and every engine that does not mount lazily keep them',
    },
  ),
  gives(
    '70b',
    'zstd:chunked, with its table in skippable frames',
    [zstd((tar) => Buffer.concat([twoFrames(tar), skippable('manifest'), skippable('footer')]))],
    TREE,
  ),
  gives(
    '70c',
    'every entry a gzip member of its own',
    [
      tarLayer([dir('d'), file('d/a', 'a'), file('d/b', 'b')], {
        mediaType: TYPES.gzip,
        blob: (_, tar) =>
          Buffer.concat(
            Array.from({ length: tar.length / 512 }, (_, at) =>
              gzipSync(tar.subarray(at * 512, at * 512 + 512)),
            ),
          ),
      }),
    ],
    ['d/', 'd/a "a"', 'd/b "b"'],
  ),
]
