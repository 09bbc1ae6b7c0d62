/** How layers merge: the vectors of the image spec and of the engines' known disagreements, as one-line fixtures. */
import { describe, expect, test } from 'vitest'
import {
  charDevice,
  blockDevice,
  dir,
  fifo,
  file,
  hardlink,
  opaque,
  paxGlobal,
  symlink,
  whiteout,
  type LayerPart,
} from '../support/layer.ts'
import { failureOf, flatten, fullLinesOf, linesOf } from './flattened.ts'
import { BASE, BASE_LINES, based } from './base-layer.ts'

type Layers = readonly (readonly LayerPart[])[]

describe('a second layer over the base', () => {
  test.each<[string, readonly LayerPart[], string[]]>([
    [
      'keeps an entry whose whiteout comes later in the same layer',
      [file('g', 'g'), whiteout('g')],
      based([], ['g=g']),
    ],
    [
      'keeps the new file when its whiteout comes after it',
      [file('f', 'new'), whiteout('f')],
      based(['f=base'], ['f=new']),
    ],
    [
      'keeps the new file when its whiteout comes before it',
      [whiteout('f'), file('f', 'new')],
      based(['f=base'], ['f=new']),
    ],
    [
      'hides lower children with an opaque marker after the new child',
      [dir('d'), file('d/new', 'n'), opaque('d')],
      based(['d/old=old'], ['d/new=n']),
    ],
    [
      'hides lower children with an opaque marker before the new child',
      [opaque('d'), dir('d'), file('d/new', 'n')],
      based(['d/old=old'], ['d/new=n']),
    ],
    [
      'follows a lower symlink when it adds below it without an entry for it',
      [file('lib/foo', 'foo')],
      based([], ['usr/lib/foo=foo']),
    ],
    [
      'replaces a symlink by a directory when the layer has that directory',
      [dir('lib'), file('lib/foo', 'foo')],
      based(['lib -> usr/lib'], ['lib/', 'lib/foo=foo']),
    ],
    [
      'does not empty the target of a symlink that it replaces',
      [dir('lib'), opaque('lib'), whiteout('lib/x')],
      based(['lib -> usr/lib'], ['lib/']),
    ],
    [
      'does not empty the target when the marker comes first',
      [opaque('lib'), whiteout('lib/x'), dir('lib')],
      based(['lib -> usr/lib'], ['lib/']),
    ],
    [
      'does not empty the target of a symlink that it hides',
      [whiteout('lib'), whiteout('lib/x')],
      based(['lib -> usr/lib'], []),
    ],
    [
      'ignores a global PAX header',
      [paxGlobal({ path: 'evil', comment: 'c' }), file('g', 'g')],
      based([], ['g=g']),
    ],
    ['shares the inode of a lower file', [hardlink('h', 'f')], based([], ['h=base'])],
    [
      'keeps a hard link whose name leads out of the root inside',
      [hardlink('h', '../../../../f')],
      based([], ['h=base']),
    ],
    [
      'stays inside the root through an absolute symlink',
      [symlink('esc', '/etc/host'), file('esc/pwn', 'p')],
      based([], ['esc -> /etc/host', 'etc/', 'etc/host/', 'etc/host/pwn=p']),
    ],
    [
      'starts at the root for an absolute symlink that lies deeper',
      [symlink('usr/lib/abs', '/d'), file('usr/lib/abs/new', 'n')],
      based([], ['usr/lib/abs -> /d', 'd/new=n']),
    ],
    [
      'stays inside the root through a symlink with ".."',
      [symlink('esc', '../../../d'), file('esc/pwn', 'p')],
      based([], ['esc -> ../../../d', 'd/pwn=p']),
    ],
    ['hides through a lower symlink only inside the root', [whiteout('lib/x')], based(['usr/lib/x=x'], [])],
    ['never takes a 0:0 device for a whiteout', [charDevice('d/old', 0, 0)], BASE_LINES],
    [
      'drops the metadata of AUFS',
      [file('.wh..wh.plnk/12', 'a'), dir('.wh..wh.orph'), file('.wh..wh.aufs', '')],
      BASE_LINES,
    ],
    [
      'ignores a whiteout of a missing name',
      [whiteout('nope'), whiteout('d/nope'), opaque('no/such'), whiteout('no/such/x')],
      BASE_LINES,
    ],
    [
      'takes a whiteout by its name, whatever its type',
      [dir('d/.wh.old'), symlink('.wh.f', 'x')],
      based(['d/old=old', 'f=base'], []),
    ],
    ['hides everything with an opaque marker at the root', [file('g', 'g'), opaque('')], ['g=g']],
    [
      'takes opaque and nested whiteouts together',
      [opaque('d'), whiteout('d/old'), whiteout('usr')],
      based(['d/old=old', 'usr/', 'usr/lib/', 'usr/lib/x=x'], []),
    ],
    ['replaces a directory by a file', [file('d', 'file')], based(['d/', 'd/old=old'], ['d=file'])],
    ['replaces a file by a directory', [dir('f'), file('f/in', 'in')], based(['f=base'], ['f/', 'f/in=in'])],
    ['replaces a directory by a symlink', [symlink('d', 'usr')], based(['d/', 'd/old=old'], ['d -> usr'])],
    [
      'retargets a symlink of equal length, time and mode',
      [symlink('lib', 'usr/abc')],
      based(['lib -> usr/lib'], ['lib -> usr/abc']),
    ],
    ['replaces a file of equal size and time', [file('f', 'BASE')], based(['f=base'], ['f=BASE'])],
    ['keeps the children of a directory whose mode changes', [dir('d', { mode: 0o700 })], BASE_LINES],
    ['makes missing parents', [file('n/e/w', 'w')], based([], ['n/', 'n/e/', 'n/e/w=w'])],
    [
      'makes the missing target of a symlink that it adds below',
      [symlink('s', 'not/there'), file('s/x', 'x')],
      based([], ['s -> not/there', 'not/', 'not/there/', 'not/there/x=x']),
    ],
    [
      'takes absolute names and names with dots below the root',
      [file('/abs', 'a'), file('./d/./../dot', 'd')],
      based([], ['abs=a', 'dot=d']),
    ],
    ['lets the last of two entries win', [file('f', 'one'), file('f', 'two')], based(['f=base'], ['f=two'])],
    [
      'keeps names that differ only in case or normal form',
      [file('A', '1'), file('a', '2'), file('é', '3'), file('e\u0301', '4')],
      based([], ['A=1', 'a=2', 'Ã©=3', 'eÌ\u0081=4']),
    ],
    [
      'keeps odd names',
      [file('a\nb', '1'), file('a\\b', '2'), file('a ', '3'), file(Buffer.from([0x66, 0xff]), '4')],
      based([], ['a\nb=1', 'a\\b=2', 'a =3', 'f\u00ff=4']),
    ],
    [
      'keeps FIFOs and devices in the tree',
      [fifo('p'), charDevice('null', 1, 3), blockDevice('sda', 8, 0)],
      based([], ['p|', 'null:1,3', 'sda:8,0']),
    ],
    ['ignores a whiteout of what can never exist', [file('d/.wh..wh.foo', '')], BASE_LINES],
    ['is nothing when it has no entries', [], BASE_LINES],
  ])('%s', (_title, parts, expected) => {
    expect(linesOf(flatten([BASE, parts]).tree)).toEqual(expected.toSorted())
  })
})

describe('several layers', () => {
  test.each<[string, Layers, string[]]>([
    [
      'do not resurrect what was hidden in between',
      [[dir('d'), file('d/a', '1')], [whiteout('d')], [dir('d'), file('d/b', '2')]],
      ['d/', 'd/b=2'],
    ],
    [
      're-create a directory that one layer hides and adds',
      [
        [dir('d'), file('d/a', '1')],
        [whiteout('d'), dir('d'), file('d/b', '2')],
      ],
      ['d/', 'd/b=2'],
    ],
    [
      'do the same when the directory comes first',
      [
        [dir('d'), file('d/a', '1')],
        [dir('d'), file('d/b', '2'), whiteout('d')],
      ],
      ['d/', 'd/b=2'],
    ],
    [
      'keep a hard link whose target is replaced above',
      [[file('a', 'old'), hardlink('b', 'a')], [file('a', 'new')]],
      ['a=new', 'b=old'],
    ],
    [
      'keep a hard link whose target is hidden above',
      [[file('a', 'old'), hardlink('b', 'a')], [whiteout('a')]],
      ['b=old'],
    ],
    ['link to a symlink itself', [[symlink('s', 'x'), hardlink('h', 's')]], ['h -> x', 's -> x']],
    [
      'bind a hard link to the file of that moment',
      [[file('a', '1'), hardlink('b', 'a'), file('a', '2')]],
      ['a=2', 'b=1'],
    ],
    [
      'link to a lower file through a symlinked parent',
      [[dir('r'), file('r/f', '1'), symlink('l', 'r')], [hardlink('h', 'l/f')]],
      ['h=1', 'l -> r', 'r/', 'r/f=1'],
    ],
    [
      'follow a chain of symlinks',
      [[symlink('a', 'b'), symlink('b', '/c'), dir('c')], [file('a/x', '1')]],
      ['a -> b', 'b -> /c', 'c/', 'c/x=1'],
    ],
  ])('%s', (_title, layers, expected) => {
    expect(linesOf(flatten(layers).tree)).toEqual(expected.toSorted())
  })
})

describe('a layer is refused', () => {
  const long = 'n'.repeat(256)
  test.each<[string, readonly LayerPart[], string]>([
    ['for a whiteout without a name', [file('d/.wh.', '')], 'InvalidWhiteout: layer 1 (d/.wh.): '],
    ['for a whiteout of "."', [file('d/.wh..', '')], 'InvalidWhiteout: layer 1 (d/.wh..): '],
    ['for a whiteout of ".."', [file('d/.wh...', '')], 'InvalidWhiteout: layer 1 (d/.wh...): '],
    ['for entries below a whiteout', [file('.wh.d/x', '')], 'InvalidWhiteout: layer 1 (.wh.d/x): '],
    ['for a name above the root', [file('../../../x', '')], 'PathEscape: layer 1 (../../../x): '],
    [
      'for a name that climbs out and in again',
      [file('d/../../etc/x', '')],
      'PathEscape: layer 1 (d/../../etc/x): ',
    ],
    ['for a whiteout above the root', [whiteout('../x')], 'PathEscape: '],
    [
      'for a root that is a symlink',
      [symlink('./', '/etc')],
      'InvalidLayer: layer 1 (./): the root must be a directory, not a symlink',
    ],
    [
      'for a root that is a file',
      [file('.', 'x')],
      'InvalidLayer: layer 1 (.): the root must be a directory',
    ],
    [
      'for a hard link to nothing',
      [hardlink('h', 'missing')],
      "InvalidLayer: layer 1 (h): the hard link's target /missing does not exist",
    ],
    [
      'for a hard link outside the root',
      [hardlink('h', '../../../../etc/hostname')],
      "InvalidLayer: layer 1 (h): the hard link's target /etc/hostname does not exist",
    ],
    [
      'for a forward hard link',
      [hardlink('h', 'later'), file('later', '')],
      "InvalidLayer: layer 1 (h): the hard link's target /later does not exist",
    ],
    [
      'for a hard link to itself',
      [hardlink('f', 'f')],
      'InvalidLayer: layer 1 (f): the hard link points to itself',
    ],
    [
      'for a hard link to itself through a symlink',
      [hardlink('usr/lib/x', 'lib/x')],
      'InvalidLayer: layer 1 (usr/lib/x): the hard link points to itself',
    ],
    [
      'for a hard link to a directory',
      [hardlink('h', 'd')],
      "InvalidLayer: layer 1 (h): the hard link's target /d is a directory",
    ],
    ['for a hard link to the root', [hardlink('h', '/')], 'InvalidLayer: layer 1 (h): '],
    [
      'for a hard link to what the layer hides, link first',
      [hardlink('h', 'f'), whiteout('f')],
      'InvalidLayer: layer 1 (h): ',
    ],
    [
      'for a hard link to what the layer hides, whiteout first',
      [whiteout('f'), hardlink('h', 'f')],
      'InvalidLayer: layer 1 (h): ',
    ],
    [
      'for an empty symlink target',
      [symlink('s', '')],
      'InvalidLayer: layer 1 (s): the symlink has an empty target',
    ],
    [
      'for a symlink target of 4096 bytes',
      [symlink('s', 't'.repeat(4096))],
      "InvalidLayer: layer 1 (s): the symlink's target is longer than 4095 bytes",
    ],
    [
      'for a parent that a symlink sends to a whiteout name',
      [symlink('s', '.wh.a'), file('s/x', '')],
      'InvalidLayer: layer 1 (s/x): its parent /.wh.a cannot exist',
    ],
    [
      'for a parent that a symlink sends to a name of 256 bytes',
      [symlink('s', long), file('s/x', '')],
      'InvalidLayer: layer 1 (s/x): its parent /nnn',
    ],
    ['for a file below a file', [file('f/x', '')], 'InvalidLayer: layer 1 (f/x): /f is not a directory'],
    [
      'for a symlink loop as parent',
      [symlink('a', 'b'), symlink('b', 'a'), file('a/x', '')],
      'InvalidLayer: layer 1 (a/x): its parent is a loop of symlinks',
    ],
    [
      'for a component of 256 bytes',
      [file(long, '')],
      `InvalidLayer: layer 1 (${long.slice(0, 200)}…): a component is longer than 255 bytes`,
    ],
  ])('%s', (_title, parts, message) => {
    expect(failureOf(() => flatten([BASE, parts]))).toContain(message)
  })

  test('for a whiteout whose directory is a loop', () => {
    expect(failureOf(() => flatten([[symlink('a', 'a')], [whiteout('a/x')]]))).toMatch(
      /^InvalidWhiteout: layer 1 \(a\/\.wh\.x\): /,
    )
  })

  test.each([
    ['more entries than allowed', [file('a/b/c', '')], { maxEntries: 1 }, 'maxEntries'],
    ['deeper than allowed', [file('a/b/c', '')], { maxDepth: 2 }, 'maxDepth is 2'],
    [
      'deeper than allowed through symlinks',
      [dir('a/b/c'), symlink('l', 'a/b/c'), file('l/x', '')],
      { maxDepth: 3 },
      'maxDepth is 3',
    ],
    [
      'a longer path than allowed through symlinks',
      [dir('aaaa/bbbb'), symlink('l', 'aaaa/bbbb'), file('l/cccc', '')],
      { maxPathBytes: 13 },
      'maxPathBytes is 13',
    ],
  ])('for %s', (_title, parts, limits, message) => {
    expect(failureOf(() => flatten([parts], limits))).toMatch(new RegExp(`^LimitExceeded: .*${message}`))
  })
})

describe('paths through symlinks', () => {
  // Each link costs the four bytes of its target and eight.
  const LINKS = [dir('real'), dir('other'), symlink('l', 'real')]

  test.each<[string, readonly (readonly LayerPart[])[], number]>([
    ['of entries', [[...LINKS, file('l/a', '')]], 12],
    ['of all layers', [[...LINKS, file('l/a', '')], [file('l/b', '')]], 24],
    ['of parents in turn', [[...LINKS, file('l/a', ''), file('other/a', ''), file('l/b', '')]], 24],
    ['of many entries of one directory just once', [[...LINKS, file('l/a', ''), file('l/b', '')]], 12],
    ['of hard links and their targets', [[...LINKS, file('real/f', ''), hardlink('l/h', 'l/f')]], 24],
    // Once to find replaced links, once to find the directory.
    ['of whiteouts', [[...LINKS, file('real/f', '')], [whiteout('l/f')]], 24],
    ['of entries beside whiteouts', [[...LINKS], [whiteout('x'), file('l/a', '')]], 24],
    ['that lead to links', [[...LINKS, symlink('m', 'l'), file('m/a', '')]], 21],
  ])('%s cost what their links do', (_title, layers, bytes) => {
    flatten(layers, { maxLinkBytes: bytes })
    expect(failureOf(() => flatten(layers, { maxLinkBytes: bytes - 1 }))).toMatch(
      new RegExp(
        `^LimitExceeded: layer ${layers.length - 1} \\(.+\\): the paths of all layers lead through more than ` +
          `${bytes - 1} bytes of symlinks \\(maxLinkBytes\\)$`,
      ),
    )
  })

  test('end early where they are made to take for ever', () => {
    const slow = symlink('l', `${'a/../'.repeat(818)}.`)
    const files = Array.from({ length: 200 }, (_, at) => file(`${'l/'.repeat(39)}${'ab'[at % 2]}/f${at}`, ''))
    const layers = [[dir('a'), dir('b'), slow, ...files]]
    const before = process.cpuUsage()
    expect(failureOf(() => flatten(layers))).toMatch(/^LimitExceeded: layer 0 .*\(maxLinkBytes\)$/)
    expect(process.cpuUsage(before).user).toBeLessThan(20e6)
  })

  test('that lead elsewhere since the entry before are walked again', () => {
    const one = [dir('a'), dir('b'), symlink('l', 'a'), file('l/x', '1'), symlink('l', 'b'), file('l/x', '2')]
    expect(linesOf(flatten([one]).tree)).toEqual(['a/', 'a/x=1', 'b/', 'b/x=2', 'l -> b'])
    const two = [dir('a'), file('a/x', '1'), file('a', ''), file('a/y', '2')]
    expect(failureOf(() => flatten([two]))).toContain('/a is not a directory')
    const onItself = [dir('d'), symlink('d/x', '.'), file('d/x/x', ''), file('d/x/y', '')]
    expect(failureOf(() => flatten([onItself]))).toContain('(d/x/y): /d/x is not a directory')
    const three = [symlink('l', 'a'), dir('a'), file('l/x', ''), dir('l'), file('l/y', '')]
    expect(linesOf(flatten([three]).tree)).toEqual(['a/', 'a/x=', 'l/', 'l/y='])
  })
})

describe('attributes', () => {
  test('of implied parents and of the root are fixed, whatever the layer says of the root', () => {
    const { tree, report } = flatten([
      [dir('./', { mode: 0o700, uid: 5, gid: 6 }), file('n/f', 'x', { mtime: 1 })],
    ])
    expect([tree.inode.mode, tree.inode.uid, tree.inode.gid, tree.inode.mtime.seconds]).toEqual([
      0o755, 0, 0, 0,
    ])
    expect(fullLinesOf(tree)).toEqual(['n/ 755 0:0 0+0', 'n/f=x 644 0:0 1+0'])
    expect(report.dropped).toEqual([
      {
        layer: 0,
        path: './',
        rule: 'root-entry',
        message: 'attributes of the root (mode 0700, owner 5:6) are ignored; it is 0755 0:0',
      },
    ])
  })

  test('of a directory are replaced by a later entry, xattrs included, and its children stay', () => {
    const { tree } = flatten([
      [dir('d', { mode: 0o755, xattrs: { 'user.a': '1' } }), file('d/f', 'x', { mtime: 1 })],
      [dir('d', { mode: 0o2770, uid: 7, gid: 8, mtime: '-1.5', xattrs: { 'user.b': '2' } })],
    ])
    expect(fullLinesOf(tree)).toEqual(['d/ 2770 7:8 -2+500000000 user.b=32', 'd/f=x 644 0:0 1+0'])
  })

  test('of a hard link are those of its inode', () => {
    const { tree } = flatten([
      [file('a', 'x', { mode: 0o4755, uid: 9, mtime: 5 })],
      [hardlink('b', 'a', { mode: 0, uid: 1 })],
    ])
    expect(fullLinesOf(tree)).toEqual(['a=x 4755 9:0 5+0', 'b=x 4755 9:0 5+0 same as a'])
  })

  test('that belong to the building machine are dropped and reported once', () => {
    const capability = Buffer.from([0x01, 0, 0, 0x02, 0x80, 0, 0, 0, 0, 0xff])
    const xattrs = {
      'security.selinux': 'l',
      'trusted.overlay.opaque': 'y',
      'user.overlay.redirect': 'r',
      'security.capability': capability,
      'user.k': Buffer.from([0, 0x80]),
      'user.empty': '',
    }
    const { tree, report } = flatten([
      [
        file('a', '', { mtime: 1, xattrs }),
        file('b', '', { mtime: 1, xattrs }),
        symlink('s', 'a', { mtime: 1, xattrs: { 'user.k': 'v' } }),
      ],
    ])
    const kept = `security.capability=${capability.toString('hex')} user.k=0080 user.empty=`
    expect(fullLinesOf(tree)).toEqual([
      `a= 644 0:0 1+0 ${kept}`,
      `b= 644 0:0 1+0 ${kept}`,
      's -> a 777 0:0 1+0',
    ])
    expect(report.dropped.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      'a: extended attribute security.selinux is not kept, also on 1 more entries',
      'a: extended attribute trusted.overlay.opaque is not kept, also on 1 more entries',
      'a: extended attribute user.overlay.redirect is not kept, also on 1 more entries',
      's: extended attribute user.k is not kept',
    ])
  })
})

describe('the report of what was left out', () => {
  test.each<[string, readonly LayerPart[], readonly string[]]>([
    ['names devices 0:0', [charDevice('d/old', 0, 0)], ['char-device-0-0 d/old']],
    ['names AUFS metadata', [file('.wh..wh.plnk/1', '')], ['aufs-metadata .wh..wh.plnk/1']],
    ['names duplicates', [file('n', '1'), file('n', '2')], ['duplicate n']],
    ['is silent about a directory that comes twice', [dir('n'), dir('n')], []],
    ['counts absolute names', [file('/a', '1'), file('/b', '2')], ['absolute-name /a']],
    ['tells of overlay markers', [dir('d', { xattrs: { 'trusted.overlay.opaque': 'y' } })], ['xattr d/']],
    ['is silent about plain layers', [dir('./'), file('d/new', ''), whiteout('f'), opaque('usr')], []],
  ])('%s', (_title, parts, dropped) => {
    const { report } = flatten([BASE, parts])
    expect(
      report.dropped.map(({ rule, path, layer }) => (layer === 1 ? `${rule} ${path}` : 'wrong layer')),
    ).toEqual(dropped)
  })

  test('stays small for a layer that repeats one oddity', () => {
    const { report } = flatten([Array.from({ length: 1500 }, (_, index) => charDevice(`d${index}`, 0, 0))])
    expect(report.dropped.length).toBe(1001)
    expect(report.dropped.at(-1)?.message).toBe('500 more of the same are not listed')
  })
})
