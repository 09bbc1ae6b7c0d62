/** What one entry does to another of the same name, and what missing or odd parents mean. */
import { dir, file, symlink } from '../../support/layer.ts'
import { gives, refuses, tarLayer, type LayerCase } from './case.ts'

const DIR = [dir('d', { mode: 0o700, mtime: 5 }), file('d/x', 'x')]

export const REPLACING_CASES: readonly LayerCase[] = [
  gives('8', 'a file over a directory', [DIR, [file('d', 'file')]], ['d "file"']),
  gives('8b', 'a symlink over a directory', [DIR, [symlink('d', 'to')]], ['d -> to']),
  gives('9', 'a directory over a file', [[file('f', 'file')], [dir('f'), file('f/x')]], ['f/', 'f/x ""']),
  gives(
    '9b',
    'a file over a symlink does not write through it',
    [[file('t', 'T'), symlink('l', 't')], [file('l', 'L')]],
    ['l "L"', 't "T"'],
  ),
  gives(
    '23',
    'a file twice in a layer',
    [[file('f', 'one', { mode: 0o600 }), file('f', 'two')]],
    ['f "two"'],
    {
      dropped: ['duplicate'],
    },
  ),
  gives(
    '23b',
    'a file and a directory of one name in a layer',
    [[file('f', 'one'), dir('f'), file('f/x')]],
    ['f/', 'f/x ""'],
    { dropped: ['duplicate'] },
  ),
  gives(
    '24',
    'a directory twice in a layer',
    [[dir('d', { mode: 0o700 }), file('d/x'), dir('d', { mode: 0o711 })]],
    ['d/ mode=0711', 'd/x ""'],
  ),
  gives(
    '25',
    'missing parents',
    [[file('a/b/c', 'C', { uid: 7, mtime: 9 })]],
    ['a/ time=0', 'a/b/ time=0', 'a/b/c "C" owner=7:0 time=9'],
  ),
  gives(
    '25b',
    'a parent whose entry comes after its child',
    [[file('a/b', 'B'), dir('a', { mode: 0o750, uid: 3 })]],
    ['a/ mode=0750 owner=3:0', 'a/b "B"'],
  ),
  gives('26', 'attributes of the root', [[dir('./', { mode: 0o700, uid: 5, gid: 6 }), file('f')]], ['f ""'], {
    dropped: ['root-entry'],
    why: 'a root of 0700 locks out every program that does not run as root',
  }),
  gives('26b', 'the usual entry of the root', [[dir('./'), file('./f')]], ['f ""']),
  refuses(
    '27a',
    'a root that is a symlink',
    [[symlink('./', '/etc'), file('f')]],
    'InvalidLayer',
    'CVE-2021-29136',
  ),
  refuses(
    '27b',
    'a root that is a symlink named "/"',
    [[symlink('/', '/etc')]],
    'InvalidLayer',
    'must be a directory',
  ),
  refuses('27c', 'a root that is a file', [[file('.', 'x')]], 'InvalidLayer', 'must be a directory'),
  gives('28', 'absolute names', [[dir('/a'), file('/a/f', 'F'), file('//g')]], ['a/', 'a/f "F"', 'g ""'], {
    dropped: ['absolute-name'],
  }),
  refuses('29a', 'a name above the root', [[file('../x')]], 'PathEscape', 'out of the root'),
  refuses(
    '29b',
    'a name that climbs far above the root',
    [[file('../../../../etc/x')]],
    'PathEscape',
    'out of the root',
  ),
  refuses('29c', 'an absolute name above the root', [[file('/../x')]], 'PathEscape', 'out of the root'),
  refuses(
    '29d',
    'a name that goes down and above the root',
    [[dir('a'), file('a/../../x')]],
    'PathEscape',
    'out of',
  ),
  gives(
    '30',
    'a name with ".." in the middle',
    [[dir('a'), file('a/../b', 'B'), file('a/./c//d')]],
    ['a/', 'a/c/ time=0', 'a/c/d ""', 'b "B"'],
  ),
  gives(
    '67',
    'a directory whose mode alone changes keeps its children',
    [DIR, [dir('d', { mode: 0o755 })]],
    ['d/', 'd/x "x"'],
  ),
  gives(
    '67b',
    'a directory entry replaces extended attributes',
    [
      [dir('d', { xattrs: { 'user.a': '1', 'user.b': '2' } }), file('d/x')],
      [dir('d', { xattrs: { 'user.b': '3' } })],
    ],
    ['d/ user.b="3"', 'd/x ""'],
  ),
  gives(
    '68',
    "a parent's time after a child is added",
    [DIR, [file('d/y', 'y', { mtime: 9 })]],
    ['d/ mode=0700 time=5', 'd/x "x"', 'd/y "y" time=9'],
  ),
  refuses(
    '69',
    'a file below a lower file',
    [[file('f')], [file('f/x')]],
    'InvalidLayer',
    'is not a directory',
  ),
  refuses(
    '69b',
    'a file below a file of the same layer',
    [[file('f'), file('f/x')]],
    'InvalidLayer',
    'is not a directory',
  ),
  gives('59a', 'a layer that has nothing but its end', [[file('f')], []], ['f ""']),
  gives('59b', 'a blob without bytes', [[file('f')], tarLayer([], { endBlocks: 0 })], ['f ""']),
  gives('59c', 'a layer of nothing but the root', [[dir('./')]], []),
  gives('59d', 'an image without layers', [], []),
]
