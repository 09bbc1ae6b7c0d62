/**
 * Attempts to get out of the root: the ideas are those of containerd's and umoci's tests, the fixtures our own. What a
 * link says is a path inside the root and nothing else; names that say `..` beyond it are refused.
 */
import {
  charDevice,
  dir,
  fifo,
  file,
  hardlink,
  opaque,
  pax,
  symlink,
  tarHeader,
  whiteout,
} from '../../support/layer.ts'
import { gives, refuses, type LayerCase } from './case.ts'

/** A file that a hostile layer would love to reach on the host. */
const ETC = [dir('etc'), file('etc/shadow', 'ours')]
const ETC_TREE = ['etc/', 'etc/shadow "ours"']
const UP = '../'.repeat(20)

export const BREAKOUT_CASES: readonly LayerCase[] = [
  // Files written through symlinks.
  gives(
    'breakout-write-absolute',
    'write through an absolute symlink',
    [[...ETC, symlink('l', '/etc'), file('l/new', 'n')]],
    [...ETC_TREE, 'etc/new "n"', 'l -> /etc'],
  ),
  gives(
    'breakout-write-up',
    'write through a symlink that climbs',
    [[...ETC, symlink('l', `${UP}etc`), file('l/new', 'n')]],
    [...ETC_TREE, 'etc/new "n"', `l -> ${UP}etc`],
  ),
  gives(
    'breakout-write-up-deep',
    'write through a deep symlink that climbs out and in',
    [[...ETC, dir('a'), dir('a/b'), symlink('a/b/l', '../../../../etc'), file('a/b/l/new', 'n')]],
    [...ETC_TREE, 'a/', 'a/b/', 'a/b/l -> ../../../../etc', 'etc/new "n"'],
  ),
  gives(
    'breakout-write-dot-maze',
    'write through a symlink that hides its climb between dots',
    [[...ETC, symlink('l', '/./.././../.././etc/.'), file('l/new', 'n')]],
    [...ETC_TREE, 'etc/new "n"', 'l -> /./.././../.././etc/.'],
  ),
  gives(
    'breakout-write-root',
    'write through a symlink to the root',
    [[symlink('l', '/'), file('l/new', 'n')]],
    ['l -> /', 'new "n"'],
  ),
  gives(
    'breakout-write-above-root',
    'write through a symlink to ".."',
    [[symlink('l', '..'), file('l/new', 'n')]],
    ['l -> ..', 'new "n"'],
  ),
  gives(
    'breakout-write-chain',
    'write through a chain, absolute and relative',
    [[...ETC, dir('d'), symlink('d/e', '/etc'), symlink('l', './d/e'), file('l/new', 'n')]],
    [...ETC_TREE, 'd/', 'd/e -> /etc', 'etc/new "n"', 'l -> ./d/e'],
  ),
  gives(
    'breakout-write-middle',
    'write through a symlink in the middle of the path',
    [[...ETC, dir('a'), symlink('a/up', '../..'), file('a/up/etc/new', 'n')]],
    [...ETC_TREE, 'a/', 'a/up -> ../..', 'etc/new "n"'],
  ),
  gives(
    'breakout-write-after-swap',
    'a directory that turns into a symlink before it is written to',
    [[...ETC, dir('d'), file('d/x'), symlink('d', '/etc'), file('d/new', 'n')]],
    [...ETC_TREE, 'd -> /etc', 'etc/new "n"'],
    { dropped: ['duplicate'] },
  ),
  gives(
    'breakout-write-after-two-swaps',
    'a directory that turns into a symlink to the root and back while it is written to',
    [[dir('d'), file('d/f', '1'), symlink('d', '/'), file('d/f', '2'), dir('d'), file('d/f', '3')]],
    ['d/', 'd/f "3"', 'f "2"'],
    { dropped: ['duplicate', 'duplicate'] },
  ),
  gives(
    'breakout-truncate-through-symlink',
    'an empty file through a symlink to a file that is there',
    [[...ETC, symlink('l', '/etc'), file('l/shadow', '')]],
    ['etc/', 'etc/shadow ""', 'l -> /etc'],
    { dropped: ['duplicate'] },
  ),
  gives(
    'breakout-write-layers',
    'a symlink in one layer, what goes through it in the next',
    [[...ETC, symlink('l', `${UP}etc`)], [file('l/shadow', 'stolen')]],
    ['etc/', 'etc/shadow "stolen"', `l -> ${UP}etc`],
  ),
  gives(
    'breakout-over-symlink',
    'a file over a symlink to a file of the host',
    [[symlink('l', '/etc/shadow')], [file('l', 'new')]],
    ['l "new"'],
  ),
  gives(
    'breakout-over-symlink-same-layer',
    'a symlink and a file of its name in one layer',
    [[...ETC, symlink('l', '/etc/shadow'), file('l', '')]],
    [...ETC_TREE, 'l ""'],
    { dropped: ['duplicate'] },
  ),
  gives(
    'breakout-mode-through-symlink',
    'a directory entry that would change the mode of what a symlink points to',
    [[...ETC, symlink('l', '/etc')], [dir('l', { mode: 0o777, uid: 6 })]],
    [...ETC_TREE, 'l/ mode=0777 owner=6:0'],
  ),
  gives(
    'breakout-fifo-through-symlink',
    'a FIFO through a symlink to a device folder',
    [[symlink('l', '/dev'), fifo('l/p')]],
    ['dev/ time=0', 'dev/p fifo', 'l -> /dev'],
  ),
  gives(
    'breakout-device-through-symlink',
    'a device through a symlink that climbs',
    [[symlink('l', `${UP}dev`), charDevice('l/mem', 1, 1)]],
    ['dev/ time=0', 'dev/mem char 1:1 mode=0600', `l -> ${UP}dev`],
  ),
  refuses(
    'breakout-write-back-from-file',
    'write through a symlink that goes back from a file',
    [[...ETC, symlink('l', 'etc/shadow/..'), file('l/new', 'n')]],
    'InvalidLayer',
    'is not a directory',
  ),
  // Hard links.
  refuses(
    'breakout-link-absolute',
    'a hard link to a file of the host',
    [[hardlink('h', '/etc/hostname')]],
    'InvalidLayer',
    'does not exist',
  ),
  refuses(
    'breakout-link-up',
    'a hard link that climbs',
    [[dir('d'), hardlink('d/h', `${UP}etc/hostname`)]],
    'InvalidLayer',
    'does not exist',
  ),
  gives(
    'breakout-link-up-inside',
    'a hard link that climbs to what is inside',
    [[...ETC, hardlink('h', `${UP}etc/shadow`)]],
    [...ETC_TREE, 'h "ours" linked=etc/shadow'],
  ),
  gives(
    'breakout-link-absolute-inside',
    'an absolute hard link to what is inside',
    [[...ETC, hardlink('h', '/etc/shadow')]],
    [...ETC_TREE, 'h "ours" linked=etc/shadow'],
  ),
  gives(
    'breakout-link-through-symlink',
    'a hard link through a symlink that climbs',
    [[...ETC, dir('d'), symlink('d/l', '../../etc'), hardlink('d/h', 'd/l/shadow')]],
    ['d/', 'd/h "ours"', 'd/l -> ../../etc', 'etc/', 'etc/shadow "ours" linked=d/h'],
  ),
  gives(
    'breakout-link-down-and-out',
    'a hard link through a symlink that goes down before it climbs',
    [[...ETC, dir('d'), symlink('l', 'd/../../../etc'), hardlink('h', '/l/shadow')]],
    [...ETC_TREE, 'd/', 'h "ours" linked=etc/shadow', 'l -> d/../../../etc'],
  ),
  refuses(
    'breakout-link-missing-and-out',
    'a hard link through a symlink that climbs from a directory that is not there',
    [[...ETC, symlink('l', 'none/../../../etc'), hardlink('h', '/l/shadow')]],
    'InvalidLayer',
    'does not exist',
    {
      why: 'the kernel finds no `none` either; cleaning the path as text would leave the symlink working here alone',
    },
  ),
  gives(
    'breakout-link-to-symlink',
    'a hard link to a symlink that climbs is the symlink, not its target',
    [[...ETC, symlink('l', `${UP}etc/shadow`), hardlink('h', '/l')]],
    [...ETC_TREE, `h -> ${UP}etc/shadow`, `l -> ${UP}etc/shadow linked=h`],
  ),
  gives(
    'breakout-link-to-dangling-symlink',
    'a hard link to a symlink whose target comes only then',
    [[dir('etc'), symlink('l', '/etc/shadow'), hardlink('h', 'l'), file('etc/shadow', 'ours')]],
    ['etc/', 'etc/shadow "ours"', 'h -> /etc/shadow', 'l -> /etc/shadow linked=h'],
  ),
  gives(
    'breakout-link-to-symlink-attributes',
    'a hard link to a symlink changes no mode and owner of what that leads to',
    [[...ETC, symlink('l', '/etc/shadow'), hardlink('h', 'l', { mode: 0o4777, uid: 1337, gid: 2020 })]],
    [...ETC_TREE, 'h -> /etc/shadow', 'l -> /etc/shadow linked=h'],
  ),
  gives(
    'breakout-write-to-linked',
    'a file over a hard link leaves the other name alone',
    [[...ETC, hardlink('h', 'etc/shadow')], [file('h', 'new')]],
    [...ETC_TREE, 'h "new"'],
  ),
  gives(
    'breakout-link-attributes',
    "a hard link's own mode and owner count for nothing",
    [[...ETC, hardlink('h', 'etc/shadow', { mode: 0o4777, uid: 1337, gid: 2020, mtime: 1 })]],
    [...ETC_TREE, 'h "ours" linked=etc/shadow'],
  ),
  gives(
    'breakout-link-over-replaced',
    'a hard link name that an upper layer replaces through a directory over a symlink',
    [
      [...ETC, symlink('l', 'etc'), hardlink('l/copy', 'etc/shadow')],
      [dir('l'), file('l/copy', 'different')],
    ],
    ['etc/', 'etc/copy "ours"', 'etc/shadow "ours" linked=etc/copy', 'l/', 'l/copy "different"'],
  ),
  // Odd places for symlinks.
  refuses(
    'breakout-symlink-parent',
    'a symlink named ".."',
    [[...ETC, symlink('..', '/etc/')]],
    'PathEscape',
    'out of the root',
  ),
  refuses(
    'breakout-symlink-empty',
    'a symlink without a name',
    [[...ETC, symlink('', '/etc/')]],
    'InvalidLayer',
    'root must be a directory',
  ),
  gives(
    'breakout-symlink-cleaned',
    'a symlink whose name ends in ".."',
    [[...ETC, symlink('local/sub/..', '/etc/'), hardlink('local/copy', 'etc/shadow')]],
    ['etc/', 'etc/copy "ours"', 'etc/shadow "ours" linked=etc/copy', 'local -> /etc/'],
  ),
  gives(
    'breakout-symlink-over-directory',
    'a symlink over a lower directory, and a hard link through it',
    [
      [...ETC, dir('l')],
      [symlink('l', '../../etc'), hardlink('l/copy', '/etc/shadow')],
    ],
    ['etc/', 'etc/copy "ours"', 'etc/shadow "ours" linked=etc/copy', 'l -> ../../etc'],
  ),
  gives(
    'breakout-directory-over-symlink',
    'a directory over a lower symlink, and a hard link in it',
    [
      [...ETC, symlink('l', '/etc')],
      [dir('/l/'), hardlink('/l/copy', '/etc/shadow')],
    ],
    ['etc/', 'etc/shadow "ours"', 'l/', 'l/copy "ours" linked=etc/shadow'],
    { dropped: ['absolute-name'] },
  ),
  refuses(
    'breakout-symlink-with-trailing-slash',
    'a symlink whose PAX name is the root',
    [[pax({ path: '././' }), tarHeader({ name: 'x', type: '2', linkName: '/etc' })]],
    'InvalidLayer',
    'root must be a directory',
  ),
  // Whiteouts.
  refuses(
    'breakout-whiteout-root-parent',
    'a whiteout of the parent of the root',
    [ETC, [file('.wh...')]],
    'InvalidWhiteout',
    'names nothing',
  ),
  refuses(
    'breakout-whiteout-parent',
    'a whiteout of a parent',
    [ETC, [file('etc/.wh...')]],
    'InvalidWhiteout',
    'names nothing',
  ),
  refuses(
    'breakout-whiteout-root',
    'a whiteout of the root',
    [ETC, [file('.wh..')]],
    'InvalidWhiteout',
    'names nothing',
  ),
  refuses(
    'breakout-whiteout-self',
    'a whiteout of its own directory',
    [ETC, [file('etc/.wh..')]],
    'InvalidWhiteout',
    'names nothing',
  ),
  refuses(
    'breakout-whiteout-above',
    'a whiteout above the root',
    [ETC, [file('../.wh.etc')]],
    'PathEscape',
    'out of the root',
  ),
  refuses(
    'breakout-whiteout-folder',
    'an entry below a whiteout',
    [ETC, [file('.wh.etc/x', 'x')]],
    'InvalidWhiteout',
    'entries below it',
  ),
  gives(
    'breakout-whiteout-symlink',
    'a whiteout of a symlink leaves its target',
    [[...ETC, symlink('l', '/etc')], [whiteout('l')]],
    ETC_TREE,
  ),
  gives(
    'breakout-whiteout-through-symlink',
    'a whiteout through a symlink that climbs',
    [[...ETC, symlink('l', `${UP}etc`)], [whiteout('l/shadow')]],
    ['etc/', `l -> ${UP}etc`],
  ),
  gives(
    'breakout-whiteout-dangling',
    'a whiteout through a symlink to nothing',
    [[...ETC, symlink('l', '/none')], [whiteout('l/etc')]],
    [...ETC_TREE, 'l -> /none'],
  ),
  gives(
    'breakout-whiteout-cleaned',
    'a whiteout whose name climbs inside the root',
    [ETC, [file('none/../.wh.etc')]],
    [],
  ),
  gives(
    'breakout-opaque-through-symlink',
    'an opaque marker through a symlink to the root',
    [[...ETC, symlink('l', '/'), file('f')], [opaque('l')]],
    [],
    {
      why: 'everything below the root is a lower child of the directory that the name means, the symlink included',
    },
  ),
  // Names of files that engines use themselves.
  gives(
    'breakout-proc',
    'entries below /proc and /sys are entries like any other',
    [[dir('proc'), file('proc/1'), file('sys/x')]],
    ['proc/', 'proc/1 ""', 'sys/ time=0', 'sys/x ""'],
  ),
  refuses(
    'breakout-pax-path',
    'a PAX path that climbs over an innocent name',
    [[pax({ path: '../../x' }), tarHeader({ name: 'good', type: '0' })]],
    'PathEscape',
    'out of the root',
  ),
  refuses(
    'breakout-prefix',
    'a ustar prefix that climbs',
    [[tarHeader({ name: 'x', type: '0', prefix: '../..' })]],
    'PathEscape',
    'out of',
  ),
]
