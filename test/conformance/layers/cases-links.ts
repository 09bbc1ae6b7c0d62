/** Symlinks and hard links: resolved inside the merged tree, never on a disk, never out of the root. */
import { dir, file, hardlink, symlink, whiteout } from '../../support/layer.ts'
import { gives, refuses, type LayerCase } from './case.ts'

const LIB = [dir('usr'), dir('usr/lib'), file('usr/lib/x', 'x'), symlink('lib', 'usr/lib')]
const LIB_TREE = ['lib -> usr/lib', 'usr/', 'usr/lib/', 'usr/lib/x "x"']
const LOOP = [symlink('a', 'b'), symlink('b', 'a')]

export const LINK_CASES: readonly LayerCase[] = [
  gives(
    '10',
    'a directory entry over a symlink to a directory',
    [LIB, [dir('lib'), file('lib/y')]],
    ['lib/', 'lib/y ""', 'usr/', 'usr/lib/', 'usr/lib/x "x"'],
  ),
  gives(
    '11',
    'a file through a lower relative symlink',
    [LIB, [file('lib/y', 'y')]],
    [...LIB_TREE, 'usr/lib/y "y"'],
  ),
  gives(
    '11b',
    'a file through a symlink of its own layer',
    [[...LIB, file('lib/y', 'y')]],
    [...LIB_TREE, 'usr/lib/y "y"'],
  ),
  gives(
    '11c',
    'a file through a chain of symlinks',
    [[...LIB, symlink('l', 'lib')], [file('l/y')]],
    [...LIB_TREE, 'l -> lib', 'usr/lib/y ""'],
  ),
  gives(
    '12',
    'a file through a lower absolute symlink',
    [[dir('r'), symlink('l', '/r')], [file('l/y')]],
    ['l -> /r', 'r/', 'r/y ""'],
  ),
  gives(
    '13a',
    'a file through a symlink with too many ".."',
    [[dir('etc'), symlink('l', '../../../etc')], [file('l/y')]],
    ['etc/', 'etc/y ""', 'l -> ../../../etc'],
  ),
  gives(
    '13b',
    'a file through a symlink to a path of the host',
    [[symlink('l', '/var/tmp')], [file('l/y')]],
    ['l -> /var/tmp', 'var/ time=0', 'var/tmp/ time=0', 'var/tmp/y ""'],
  ),
  gives(
    '14',
    'a symlink retargeted with the same length, time and mode',
    [LIB, [symlink('lib', 'usr/bin')]],
    ['lib -> usr/bin', 'usr/', 'usr/lib/', 'usr/lib/x "x"'],
  ),
  gives(
    '14b',
    'a file rewritten with the same length, time and mode',
    [[file('f', 'old')], [file('f', 'new')]],
    ['f "new"'],
  ),
  gives(
    '15',
    'a hard link to a lower file',
    [[file('a', 'A', { uid: 7, mode: 0o600 })], [hardlink('b', 'a')]],
    ['a "A" mode=0600 owner=7:0', 'b "A" mode=0600 owner=7:0 linked=a'],
  ),
  gives(
    '15b',
    'a hard link to a lower file through a symlinked parent',
    [LIB, [hardlink('b', 'lib/x')]],
    ['b "x"', 'lib -> usr/lib', 'usr/', 'usr/lib/', 'usr/lib/x "x" linked=b'],
  ),
  gives(
    '16',
    'a link target overwritten by a higher layer',
    [[file('a', 'old'), hardlink('b', 'a')], [file('a', 'new')]],
    ['a "new"', 'b "old"'],
  ),
  gives(
    '17',
    'a link target overwritten in the same layer',
    [[file('a', 'old'), hardlink('b', 'a'), file('a', 'new')]],
    ['a "new"', 'b "old"'],
    { dropped: ['duplicate'] },
  ),
  gives(
    '18',
    'a hard link to a symlink',
    [[symlink('s', 'to'), hardlink('h', 's')]],
    ['h -> to', 's -> to linked=h'],
  ),
  refuses('19', 'a forward hard link', [[hardlink('h', 'f'), file('f')]], 'InvalidLayer', 'does not exist'),
  refuses(
    '20',
    'a hard link to itself',
    [[file('f'), hardlink('f', 'f')]],
    'InvalidLayer',
    'points to itself',
  ),
  refuses(
    '20b',
    'a hard link to itself that is no file yet',
    [[hardlink('f', 'f')]],
    'InvalidLayer',
    'does not exist',
  ),
  gives(
    '21',
    'a link target hidden by a higher layer',
    [[file('a', 'A'), hardlink('b', 'a')], [whiteout('a')]],
    ['b "A"'],
  ),
  refuses(
    '22a',
    'a hard link to a file of the host',
    [[hardlink('h', '../../../../etc/hostname')]],
    'InvalidLayer',
    'does not exist',
  ),
  gives(
    '22b',
    'a hard link with too many ".." to what is in the root',
    [[file('f', 'inside')], [hardlink('h', '../../../f')]],
    ['f "inside"', 'h "inside" linked=f'],
  ),
  refuses(
    '22c',
    'a hard link through a symlink to the host',
    [[symlink('l', '/etc'), hardlink('h', 'l/hostname')]],
    'InvalidLayer',
    'does not exist',
  ),
  refuses('51a', 'a loop of symlinks as parent', [LOOP, [file('a/x')]], 'InvalidLayer', 'loop of symlinks'),
  refuses('51b', 'a symlink to itself as parent', [[symlink('a', 'a'), file('a/x')]], 'InvalidLayer', 'loop'),
  gives('51c', 'a loop of symlinks that nothing lies below', [LOOP], ['a -> b', 'b -> a']),
  refuses('52a', 'an empty symlink target', [[symlink('s', '')]], 'InvalidLayer', 'empty target'),
  gives(
    '52b',
    'a symlink target of 4095 bytes',
    [[symlink('s', 't'.repeat(4095))]],
    [`s -> ${'t'.repeat(4095)}`],
  ),
  refuses(
    '52c',
    'a symlink target of 4096 bytes',
    [[symlink('s', 't'.repeat(4096))]],
    'InvalidLayer',
    '4095 bytes',
  ),
  refuses(
    '72',
    'a hard link to a directory',
    [[dir('d'), hardlink('h', 'd')]],
    'InvalidLayer',
    'is a directory',
  ),
  refuses('72b', 'a hard link to the root', [[hardlink('h', './')]], 'InvalidLayer', 'does not exist'),
]
