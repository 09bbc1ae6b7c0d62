/** What an archive is made of: sizes, types, checksums, and where it ends. */
import { dir, file, layer, padded, pax, paxGlobal, raw, symlink, tarHeader } from '../../support/layer.ts'
import { gives, refuses, tarLayer, type LayerCase } from './case.ts'

const content = (text: string): Buffer => raw(padded(Buffer.from(text)))
const damaged = (tar: Buffer): Buffer => Buffer.concat([Buffer.from('X'), tar.subarray(1)])
const ONE = [file('some', 'content')]
const TREE = ['some "content"']

const RECORD = Buffer.from('13 path=long\n')
const SOLARIS = Buffer.concat([tarHeader({ name: 'X', type: 'X', size: RECORD.length }), padded(RECORD)])

export const ARCHIVE_CASES: readonly LayerCase[] = [
  gives(
    '54a',
    'the size of a PAX header counts',
    [[pax({ size: '3' }), tarHeader({ name: 'f', type: '0', size: 9 }), content('abc'), file('after')]],
    ['after ""', 'f "abc"'],
  ),
  gives(
    '54b',
    'a size on link, directory and device entries',
    [
      [
        tarHeader({ name: 'l', type: '2', linkName: 't', size: 512, mode: 0o777 }),
        tarHeader({ name: 'd/', type: '5', size: 4096, mode: 0o755 }),
        tarHeader({ name: 'p', type: '6', size: 7 }),
        file('after'),
      ],
    ],
    ['after ""', 'd/', 'l -> t', 'p fifo'],
    { why: 'POSIX gives these types no content, whatever the field says' },
  ),
  gives(
    '54c',
    'a PAX size on a directory',
    [[pax({ size: '512' }), dir('d'), file('d/x')]],
    ['d/', 'd/x ""'],
  ),
  gives(
    '54d',
    'a size on a hard link',
    [[file('f', 'F'), tarHeader({ name: 'h', type: '1', linkName: 'f', size: 1 }), file('z')]],
    ['f "F"', 'h "F" linked=f', 'z ""'],
    { why: 'tar writers say the size of the file that is meant, without its content' },
  ),
  refuses(
    '54e',
    'a negative size',
    [[tarHeader({ name: 'f', type: '0', size: -1 })]],
    'InvalidLayer',
    'the size -1',
  ),
  refuses(
    '54f',
    'a PAX size that is no number',
    [[pax({ size: '0x1' }), tarHeader({ name: 'f', type: '0' })]],
    'InvalidLayer',
    '0x1',
  ),
  refuses(
    '54g',
    'a size that a global header makes readers forget',
    [[pax({ size: '512' }), paxGlobal({ comment: 'c' }), tarHeader({ name: 'f', type: '0' }), content('F')]],
    'InvalidLayer',
    'do not agree on how long',
    { why: 'what is content to one reader would be entries to the other' },
  ),
  gives(
    '54h',
    'numbers with spaces and NULs around them',
    [
      [
        tarHeader({
          name: 'f',
          type: '0',
          overwrite: {
            100: Buffer.from('\0 0600\0x'),
            108: Buffer.from('     17 '),
            116: Buffer.alloc(8, ' '),
          },
        }),
      ],
    ],
    ['f "" mode=0600 owner=15:0'],
  ),
  refuses(
    '54i',
    'a number with something behind a space',
    [[tarHeader({ name: 'f', type: '0', overwrite: { 124: Buffer.from('0 000000001\0') } })]],
    'InvalidLayer',
    'size is not a number',
    { why: 'readers differ between the first digits and an error' },
  ),
  refuses(
    '56a',
    'an unknown typeflag',
    [[tarHeader({ name: 'f', type: 'Z' })]],
    'InvalidLayer',
    "typeflag 'Z' (unknown)",
  ),
  gives(
    '56b',
    "typeflag '7', the contiguous file",
    [[tarHeader({ name: 'f', type: '7', size: 1 }), content('F')]],
    ['f "F"'],
  ),
  refuses(
    '56c',
    'a volume label',
    [[tarHeader({ name: 'label', type: 'V' }), file('f')]],
    'InvalidLayer',
    'a GNU volume label',
  ),
  refuses(
    '56d',
    'a part of a file from another volume',
    [[tarHeader({ name: 'f', type: 'M' })]],
    'InvalidLayer',
    'multi-volume',
  ),
  gives(
    '56e',
    'the old NUL type',
    [[tarHeader({ name: 'f', type: '\0', format: 'v7', size: 1 }), content('F')]],
    ['f "F"'],
  ),
  gives(
    '56f',
    'the old NUL type with a trailing slash',
    [[tarHeader({ name: 'd/', type: '\0', format: 'v7', mode: 0o700 }), file('d/x')]],
    ['d/ mode=0700', 'd/x ""'],
  ),
  gives(
    '56g',
    "type '0' with a trailing slash",
    [[tarHeader({ name: 'd/', type: '0', mode: 0o755 }), file('d/x')]],
    ['d/', 'd/x ""'],
  ),
  refuses(
    '56h',
    "type '0' with a trailing slash and content",
    [[file('d/', 'content')]],
    'InvalidLayer',
    'ends in "/"',
  ),
  gives(
    '56j',
    "type '0' with a trailing slash, and nothing below",
    [[tarHeader({ name: 'd/', type: '0', mode: 0o755 })]],
    ['d/'],
  ),
  gives(
    '56k',
    "an extended header of Solaris's type 'X'",
    [[SOLARIS, tarHeader({ name: 'cut', type: '0' })]],
    ['long ""'],
    { why: "it has the same records as PAX's own" },
  ),
  refuses(
    '56i',
    'a dump of a directory',
    [[tarHeader({ name: 'd/', type: 'D' })]],
    'InvalidLayer',
    'incremental',
  ),
  refuses('57a', 'a wrong checksum', [tarLayer(ONE, { tar: damaged })], 'InvalidLayer', 'checksum'),
  refuses(
    '57b',
    'a truncated header',
    [tarLayer(ONE, { tar: (tar) => tar.subarray(0, 300) })],
    'InvalidLayer',
    'in the middle',
  ),
  refuses(
    '57c',
    'truncated content',
    [tarLayer(ONE, { tar: (tar) => tar.subarray(0, 515) })],
    'InvalidLayer',
    'in the middle',
  ),
  gives('57d', 'truncated padding', [tarLayer(ONE, { tar: (tar) => tar.subarray(0, 1000) })], TREE, {
    why: 'all of the content is there; other readers do not look for what fills up the last block either',
  }),
  refuses(
    '57e',
    'a PAX header that is not followed by its entry',
    [[pax({ path: 'x' })]],
    'InvalidLayer',
    'not followed',
  ),
  refuses(
    '57f',
    'text instead of an archive',
    [tarLayer([], { tar: () => Buffer.from('<html>'.repeat(200)) })],
    'InvalidLayer',
    'checksum',
  ),
  gives('58a', 'one block of zeros at the end', [tarLayer(ONE, { endBlocks: 1 })], TREE),
  gives('58b', 'no block of zeros at the end', [tarLayer(ONE, { endBlocks: 0 })], TREE),
  gives(
    '58c',
    'entries after the end are not read',
    [tarLayer(ONE, { tar: (tar) => Buffer.concat([tar, layer([file('hidden')])]) })],
    TREE,
    { why: 'two blocks of zeros end an archive (POSIX); what follows counts for the DiffID alone' },
  ),
  gives(
    '58d',
    'trailing garbage is hashed and not read',
    [
      tarLayer(ONE, {
        compress: 'gzip',
        tar: (tar) => Buffer.concat([tar, Buffer.from('garbage of any length')]),
      }),
    ],
    TREE,
  ),
  gives('58e', 'the record of 10 KiB that GNU tar fills up', [tarLayer(ONE, { endBlocks: 18 })], TREE),
  refuses(
    '58f',
    'a lone block of zeros between entries',
    [tarLayer([...ONE, raw(Buffer.alloc(512)), file('after')])],
    'InvalidLayer',
    'lone zero block',
    { why: 'readers disagree whether such an archive goes on' },
  ),
  refuses(
    '58g',
    'trailing garbage that the DiffID does not cover',
    [tarLayer(ONE, { blob: (blob) => Buffer.concat([blob, Buffer.from('garbage')]) })],
    'DigestMismatch',
    'DiffID',
  ),
  gives(
    '58h',
    'the end of an archive between the layers of an image',
    [ONE, [symlink('l', 'some')]],
    [...TREE, 'l -> some'],
  ),
]
