/** Modes, owners, times, devices and extended attributes. */
import {
  blockDevice,
  charDevice,
  dir,
  fifo,
  file,
  pax,
  paxGlobal,
  raw,
  symlink,
  tarHeader,
} from '../../support/layer.ts'
import { gives, refuses, type LayerCase } from './case.ts'

/** CAP_SETUID and CAP_NET_BIND_SERVICE, effective: byte 0x80 is what decoders of text destroy. */
const CAPABILITY = Buffer.from('0100000280040000000000000000000000000000', 'hex')
const CAPABILITY_TEXT = '"\\x01\\x00\\x00\\x02\\x80\\x04' + '\\x00'.repeat(14) + '"'
const DROPPED_XATTR = { dropped: ['xattr'] }

export const ATTRIBUTE_CASES: readonly LayerCase[] = [
  gives(
    '40',
    'setuid, setgid and sticky bits with owners',
    [
      [
        file('u', '', { mode: 0o4755, uid: 33, gid: 34 }),
        file('g', '', { mode: 0o2711, uid: 33 }),
        dir('t', { mode: 0o1777, gid: 5 }),
        dir('s', { mode: 0o2770, uid: 2000, gid: 2001 }),
        file('none', '', { mode: 0, uid: 1 }),
      ],
    ],
    [
      'g "" mode=2711 owner=33:0',
      'none "" mode=0000 owner=1:0',
      's/ mode=2770 owner=2000:2001',
      't/ mode=1777 owner=0:5',
      'u "" mode=4755 owner=33:34',
    ],
  ),
  gives('40b', 'mode bits beyond 7777', [[tarHeader({ name: 'f', type: '0', mode: 0o100644 })]], ['f ""']),
  gives(
    '41a',
    'a character device 0:0 is no whiteout',
    [[file('f', 'F')], [charDevice('f', 0, 0), charDevice('g', 0, 0)]],
    ['f "F"'],
    { dropped: ['char-device-0-0', 'char-device-0-0'] },
  ),
  gives(
    '41b',
    'devices below /dev',
    [[dir('dev'), charDevice('dev/null', 1, 3, { mode: 0o666 })]],
    ['dev/', 'dev/null char 1:3 mode=0666'],
  ),
  gives('41c', 'a block device', [[blockDevice('sda', 8, 0)]], ['sda block 8:0 mode=0600']),
  gives(
    '41d',
    'a device replaces a file',
    [[file('f', 'F')], [charDevice('f', 5, 1)]],
    ['f char 5:1 mode=0600'],
  ),
  refuses(
    '41e',
    'a negative device number',
    [[tarHeader({ name: 'x', type: '3', major: -1 })]],
    'InvalidLayer',
    'negative',
  ),
  gives(
    '41f',
    'a device whose numbers Linux cuts off to those of a whiteout',
    [
      [file('f', 'F'), file('g', 'G')],
      [charDevice('f', 4096, 0), charDevice('g', 0, 2 ** 20), charDevice('null', 1, 3)],
    ],
    ['f char 4096:0 mode=0600', 'g char 0:1048576 mode=0600', 'null char 1:3 mode=0600'],
  ),
  gives(
    '41g',
    'a device of a number beyond 2^32',
    [[blockDevice('b', 2 ** 32, 0)]],
    ['b block 4294967296:0 mode=0600'],
  ),
  gives(
    '41h',
    'a device whose numbers Linux cuts off to others',
    [[blockDevice('b', 4097, 2 ** 20 + 2)]],
    ['b block 4097:1048578 mode=0600'],
  ),
  gives('42a', 'a FIFO', [[fifo('p', { mode: 0o620, uid: 4 })]], ['p fifo mode=0620 owner=4:0']),
  refuses(
    '42b',
    "a socket in star's and libarchive's typeflag",
    [[tarHeader({ name: 's', type: 's' })]],
    'InvalidLayer',
    "typeflag 's'",
    { why: 'tar has no sockets: every writer of layers leaves them out' },
  ),
  gives(
    '43a',
    'a capability with bytes of 0x80 and above',
    [[file('f', '', { xattrs: { 'security.capability': CAPABILITY } })]],
    [`f "" security.capability=${CAPABILITY_TEXT}`],
  ),
  gives(
    '43b',
    'a user attribute without a value',
    [[file('f', '', { xattrs: { 'user.e': '' } })]],
    ['f "" user.e=""'],
  ),
  gives(
    '43c',
    'a user attribute with NUL, newline and "="',
    [[file('f', '', { xattrs: { 'user.n': Buffer.from('a\0b\n=c\u00ff', 'latin1') } })]],
    ['f "" user.n="a\\x00b\\n=c\\xff"'],
  ),
  gives(
    '43d',
    'a user attribute of a directory',
    [[dir('d', { xattrs: { 'user.d': 'D' } })]],
    ['d/ user.d="D"'],
  ),
  gives(
    '43e',
    'a user attribute that symlinks cannot have',
    [[symlink('l', 't', { xattrs: { 'user.l': 'L' } })]],
    ['l -> t'],
    DROPPED_XATTR,
  ),
  gives(
    '43f',
    "libarchive's base64 form",
    [[pax({ 'LIBARCHIVE.xattr.user.a': 'gP8' }), tarHeader({ name: 'f', type: '0' })]],
    ['f "" user.a="\\x80\\xff"'],
  ),
  gives(
    '44a',
    "overlayfs's markers in a layer",
    [
      [dir('d'), file('d/old')],
      [dir('d', { xattrs: { 'trusted.overlay.opaque': 'y' } }), file('d/new')],
    ],
    ['d/', 'd/new ""', 'd/old ""'],
    DROPPED_XATTR,
  ),
  gives(
    '44b',
    "overlayfs's unprivileged markers",
    [
      [dir('d'), file('d/old')],
      [
        dir('d', { xattrs: { 'user.overlay.opaque': 'y' } }),
        file('f', '', { xattrs: { 'user.overlay.redirect': '/etc' } }),
      ],
    ],
    ['d/', 'd/old ""', 'f ""'],
    { dropped: ['xattr', 'xattr'] },
  ),
  gives(
    '44c',
    'labels and access lists of the building machine',
    [
      [
        file('f', '', {
          xattrs: {
            'security.selinux': 'label',
            'security.ima': 'i',
            'system.posix_acl_access': 'a',
            'trusted.x': 't',
          },
        }),
      ],
    ],
    ['f ""'],
    { dropped: ['xattr', 'xattr', 'xattr', 'xattr'] },
  ),
  gives(
    '45a',
    'a time before 1970',
    [[file('a', '', { mtime: -1 }), file('b', '', { mtime: '-1.5' })]],
    ['a "" time=-1', 'b "" time=-1.5'],
  ),
  gives(
    '45b',
    'a time with nanoseconds',
    [[file('f', '', { mtime: '1700000000.000000001' })]],
    ['f "" time=1700000000.000000001'],
  ),
  gives('45c', 'a time beyond 2^33', [[file('f', '', { mtime: '8589934599' })]], ['f "" time=8589934599']),
  gives(
    '45d',
    'an empty time field',
    [[tarHeader({ name: 'f', type: '0', overwrite: { 136: Buffer.alloc(12) } })]],
    ['f "" time=0'],
  ),
  gives(
    '45e',
    'a time below a nanosecond',
    [[file('f', '', { mtime: '1.9999999999' })]],
    ['f "" time=1.999999999'],
  ),
  refuses(
    '45f',
    'a time that is no number',
    [[pax({ mtime: 'now' }), tarHeader({ name: 'f', type: '0' })]],
    'InvalidLayer',
    'seconds',
  ),
  gives(
    '45g',
    'times of symlinks, FIFOs and directories',
    [[symlink('l', 't', { mtime: '2.5' }), fifo('p', { mtime: 3 }), dir('d', { mtime: '-4' })]],
    ['d/ time=-4', 'l -> t time=2.5', 'p fifo time=3'],
  ),
  gives(
    '45h',
    'a time of access that is no number',
    [[pax({ atime: 'now', ctime: '' }), tarHeader({ name: 'f', type: '0' })]],
    ['f ""'],
    { why: 'layers keep no such time' },
  ),
  gives(
    '46a',
    'ids of 2^31 and 2^32-2 in base 256',
    [[tarHeader({ name: 'f', type: '0', uid: 2 ** 31, gid: 2 ** 32 - 2 })]],
    ['f "" owner=2147483648:4294967294'],
  ),
  gives(
    '46b',
    'ids in PAX records',
    [[file('f', '', { uid: 2 ** 31, gid: 2 ** 32 - 2 })]],
    ['f "" owner=2147483648:4294967294'],
  ),
  refuses('46c', 'uid 2^32-1', [[file('f', '', { uid: 2 ** 32 - 1 })]], 'InvalidLayer', 'uid 4294967295', {
    why: 'chown(2) reads it as "leave the owner alone": the file would silently belong to root',
  }),
  refuses(
    '46d',
    'gid 2^32-1 in base 256',
    [[tarHeader({ name: 'f', type: '0', gid: 2 ** 32 - 1 })]],
    'InvalidLayer',
    'gid 4294967295',
  ),
  refuses(
    '46e',
    'a negative uid',
    [[tarHeader({ name: 'f', type: '0', uid: -1 })]],
    'InvalidLayer',
    'uid -1',
  ),
  gives(
    '46f',
    "a user's name without an id",
    [
      [
        tarHeader({
          name: 'f',
          type: '0',
          overwrite: { 108: Buffer.alloc(8), 265: Buffer.from('www-data\0') },
        }),
      ],
    ],
    ['f ""'],
    { why: "names are the building machine's: only numbers count" },
  ),
  gives('53a', 'a global header first', [[paxGlobal({ comment: 'git commit' }), file('f')]], ['f ""']),
  gives(
    '53b',
    'a global header in the middle',
    [[file('a'), paxGlobal({ comment: 'c' }), file('b')]],
    ['a ""', 'b ""'],
  ),
  gives(
    '53c',
    'a global header with values',
    [[paxGlobal({ path: '../evil', uid: '7', mtime: '1', comment: 'c' }), file('f', 'F')]],
    ['f "F"'],
    { dropped: ['pax-global'], why: 'every container engine ignores global headers' },
  ),
  gives(
    '53d',
    'a global header between a PAX header and its entry',
    [
      [
        pax({ path: 'long' }),
        paxGlobal({ comment: 'c' }),
        tarHeader({ name: 'x', type: '0', size: 1 }),
        raw(Buffer.alloc(512, 'y', 'latin1').fill(0, 1)),
      ],
    ],
    ['long "y"'],
  ),
  gives(
    '53e',
    'a global header that is named like a file before it',
    [[file('f', 'F'), dir('d'), file('d/x'), paxGlobal({ path: 'f' }), paxGlobal({ path: 'd/' })]],
    ['d/', 'd/x ""', 'f "F"'],
    { dropped: ['pax-global'] },
  ),
  gives(
    '53f',
    'a global header that is named like a whiteout, or below a directory',
    [[file('f', 'F')], [paxGlobal({ path: '.wh.f' }), paxGlobal({ path: 'd/g' })]],
    ['f "F"'],
    { dropped: ['pax-global'] },
  ),
  gives(
    '53g',
    'a NUL in the name of an owner',
    [[pax({ uname: 'ro\0ot' }), tarHeader({ name: 'f', type: '0' })]],
    ['f ""'],
  ),
  gives(
    '53h',
    'a NUL in the name of an owner, said of all entries',
    [[paxGlobal({ uname: 'ro\0ot' }), tarHeader({ name: 'f', type: '0' })]],
    ['f ""'],
    { dropped: ['pax-global'] },
  ),
]
