/**
 * What an overlayfs node shows instead of the merged tree. The lines were measured with containerd 2.4 (its archive
 * package for every layer, the kernel's overlayfs over them); the differential suite measures them again.
 */
import { describe, expect, test } from 'vitest'
import { WorkBudget } from '../../src/rootfs/overlayfs-budget.ts'
import { OverlayfsSurvey } from '../../src/rootfs/overlayfs-survey.ts'
import { emptyTree } from '../../src/rootfs/tree.ts'
import { atOnce, WorkSlices } from '../../src/rootfs/work-slices.ts'
import {
  charDevice,
  dir,
  file,
  gnuLong,
  hardlink,
  layer,
  opaque,
  pax,
  paxGlobal,
  symlink,
  tarHeader,
  whiteout,
  type LayerPart,
} from '../support/layer.ts'
import { failureOf, flatten, fullLinesOf, linesOf, readTar } from './flattened.ts'
import { BASE, BASE_LINES, based } from './base-layer.ts'

function reported(layers: readonly (readonly LayerPart[])[]): string[] {
  return flatten(layers).report.divergences.map(
    ({ rule, path, layer, overlayfs }) => `${layer} ${rule} ${path}: ${overlayfs}`,
  )
}

function rulesOf(layers: readonly (readonly LayerPart[])[]): string[] {
  return flatten(layers).report.divergences.map(({ rule, path, layer }) => `${layer} ${rule} ${path}`)
}

describe('over the base, nodes show and the report says', () => {
  test.each<[string, readonly LayerPart[], string[], string[]]>([
    [
      'the lower children of a directory that a layer hides and has',
      [whiteout('d'), dir('d'), file('d/new', 'n')],
      based([], ['d/new=n']),
      ['1 recreated-directory /d/old'],
    ],
    [
      'a directory in place of a lower symlink that a file lies behind',
      [file('lib/y', 'y')],
      based(['lib -> usr/lib'], ['lib/', 'lib/y=y']),
      ['1 parent-symlink /lib', '1 parent-symlink /usr/lib/y'],
    ],
    [
      'what a whiteout behind a lower symlink should hide',
      [whiteout('lib/x')],
      based(['lib -> usr/lib'], ['lib/']),
      [
        '1 whiteout-through-symlink /lib',
        '1 whiteout-of-missing-path /lib/x',
        '1 whiteout-through-symlink /usr/lib/x',
      ],
    ],
    [
      'the same behind an opaque marker',
      [opaque('lib')],
      based(['lib -> usr/lib'], ['lib/']),
      ['1 whiteout-through-symlink /lib', '1 whiteout-through-symlink /usr/lib/x'],
    ],
    [
      'directories that are made for a whiteout, with a name that has no file',
      [whiteout('no/such/x')],
      based([], ['no/', 'no/such/']),
      ['1 whiteout-of-missing-path /no', '1 whiteout-of-missing-path /no/such/x'],
    ],
    [
      'a directory in place of a file for a whiteout below it',
      [whiteout('f/x')],
      based(['f=base'], ['f/']),
      ['1 whiteout-of-missing-path /f', '1 whiteout-of-missing-path /f/x'],
    ],
    [
      'a name without a file where a whiteout lies in a new directory',
      [dir('no'), whiteout('no/x')],
      based([], ['no/']),
      ['1 whiteout-of-missing-path /no/x'],
    ],
    [
      'a name without a file where a whiteout lies in an opaque directory',
      [dir('d'), opaque('d'), whiteout('d/old')],
      based(['d/old=old'], []),
      ['1 whiteout-of-missing-path /d/old'],
    ],
    [
      'nothing where a layer has a device 0:0',
      [charDevice('d/old', 0, 0)],
      based(['d/old=old'], []),
      ['1 char-device-0-0 /d/old'],
    ],
    [
      'everything of lower layers under an opaque marker at the root',
      [opaque(''), file('g', 'g')],
      based([], ['g=g']),
      ['1 opaque-root /d', '1 opaque-root /f', '1 opaque-root /lib', '1 opaque-root /usr'],
    ],
    [
      'metadata of AUFS',
      [file('.wh..wh.plnk/1', '1')],
      based([], ['.wh..wh.plnk/', '.wh..wh.plnk/1=1']),
      ['1 aufs-metadata /.wh..wh.plnk'],
    ],
    [
      'a file with the attributes of its hard link',
      [file('n', 'n', { mode: 0o600 }), hardlink('h', 'n', { mode: 0o644 })],
      based([], ['h=n', 'n=n']),
      ['1 hard-link-attributes /h', '1 hard-link-attributes /n'],
    ],
    ['1970 for what is older', [file('n', '', { mtime: -5 })], based([], ['n=']), ['1 negative-mtime /n']],
    [
      '1970 for what is later than 2262',
      [file('n', '', { mtime: 2 ** 34 })],
      based([], ['n=']),
      ['1 negative-mtime /n'],
    ],
    ['the same for a global header', [paxGlobal({ comment: 'c' }), file('g', 'g')], based([], ['g=g']), []],
    [
      'the same for a whiteout',
      [whiteout('f'), whiteout('usr/lib')],
      based(['f=base', 'usr/lib/', 'usr/lib/x=x'], []),
      [],
    ],
    ['the same for a whiteout of a missing name', [whiteout('d/nope'), whiteout('nope')], BASE_LINES, []],
    [
      'the same for an opaque directory',
      [dir('d'), file('d/new', 'n'), opaque('d')],
      based(['d/old=old'], ['d/new=n']),
      [],
    ],
    [
      'the same for a whiteout and a file',
      [whiteout('f'), file('f', 'new')],
      based(['f=base'], ['f=new']),
      [],
    ],
    [
      'the same for a directory over a symlink',
      [dir('lib'), file('lib/y', 'y')],
      based(['lib -> usr/lib'], ['lib/', 'lib/y=y']),
      [],
    ],
    ['the same for a file over a directory', [file('d', 'file')], based(['d/', 'd/old=old'], ['d=file']), []],
    [
      'the same for a directory over a file',
      [dir('f'), file('f/in', 'i')],
      based(['f=base'], ['f/', 'f/in=i']),
      [],
    ],
    [
      'the same for a symlink of the layer itself',
      [symlink('l2', 'd'), file('l2/y', 'y')],
      based([], ['d/y=y', 'l2 -> d']),
      [],
    ],
    [
      'the same for a hard link within the layer',
      [file('n', 'n'), hardlink('h', 'n')],
      based([], ['h=n', 'n=n']),
      [],
    ],
    ['the same for parents without entries', [file('d/e/w', 'w')], based([], ['d/e/', 'd/e/w=w']), []],
    ['the same for attributes of the root', [dir('./', { mode: 0o700, uid: 5 })], BASE_LINES, []],
  ])('%s', (_title, parts, shown, report) => {
    const nodes = flatten([BASE, parts], {}, { semantics: 'overlayfs' })
    expect(linesOf(nodes.tree)).toEqual(shown.toSorted())
    expect(rulesOf([BASE, parts])).toEqual(report)
    // What differs is the same, whichever of the two is asked for.
    expect(nodes.report.divergences).toEqual(flatten([BASE, parts]).report.divergences)
  })
})

describe('nodes cannot unpack', () => {
  test.each<[string, readonly (readonly LayerPart[])[], string]>([
    ['a whiteout after its entry', [BASE, [file('f', 'n'), whiteout('f')]], '1 whiteout-after-entry /f'],
    ['a whiteout after its directory', [BASE, [dir('d'), whiteout('d')]], '1 whiteout-after-entry /d'],
    ['two whiteouts of one name', [BASE, [whiteout('f'), whiteout('f')]], '1 whiteout-after-entry /f'],
    [
      'a hard link in place of the directory that its target is in',
      [[file('t/x', 'x'), hardlink('t', 't/x')]],
      '0 hard-link-to-lower-file /t',
    ],
    ['a hard link to a lower file', [BASE, [hardlink('h', 'f')]], '1 hard-link-to-lower-file /h'],
    [
      'a hard link behind a lower symlink',
      [BASE, [file('usr/lib/n', 'n'), hardlink('h', 'lib/n')]],
      '1 hard-link-to-lower-file /h',
    ],
    [
      'an entry below its own whiteout',
      [BASE, [whiteout('d'), file('d/new', 'n')]],
      '1 entry-below-whiteout /d/new',
    ],
    [
      'an entry below the whiteout of a lower layer',
      [BASE, [whiteout('d')], [file('d/e/new', 'n')]],
      '2 entry-below-whiteout /d/e/new',
    ],
    [
      'an entry below what was a file in a lower layer',
      [[file('d', '1')], [dir('d')], [file('d/e/new', 'n')]],
      '2 entry-below-whiteout /d/e/new',
    ],
    [
      'a directory that a symlink to nowhere replaces',
      [BASE, [dir('n'), symlink('n', 'nowhere')]],
      '1 replaced-directory /n',
    ],
    [
      'a directory that a whiteout of the first layer takes away',
      [[dir('n'), whiteout('n')]],
      '0 replaced-directory /n',
    ],
  ])('%s', (_title, layers, report) => {
    const divergences = flatten(layers).report.divergences.filter(({ rule }) => rule !== 'duplicate')
    expect(divergences.map(({ rule, path, layer }) => `${layer} ${rule} ${path}`)).toEqual([report])
    expect(divergences[0]?.overlayfs).toMatch(/^unpacking fails: /)
    expect(failureOf(() => flatten(layers, {}, { semantics: 'overlayfs' }))).toMatch(
      /^InvalidLayer: layer \d \(.*\): nodes with overlayfs can't unpack the layer: /,
    )
  })

  test('and every entry at fault is named', () => {
    expect(rulesOf([BASE, [hardlink('h', 'f'), hardlink('i', 'f')], [hardlink('j', 'f')]])).toEqual([
      '1 hard-link-to-lower-file /h',
      '1 hard-link-to-lower-file /i',
      '2 hard-link-to-lower-file /j',
    ])
  })
})

describe('the first layer is unpacked like a folder', () => {
  test.each<[string, readonly LayerPart[], string[], string[]]>([
    ['a whiteout deletes', [file('a', '1'), whiteout('a')], [], ['0 whiteout-after-entry /a']],
    ['an entry after its whiteout stays', [whiteout('a'), file('a', '1')], ['a=1'], []],
    [
      'an opaque marker deletes what has no entry of its own',
      [dir('d'), file('d/e/f', '1'), file('d/g', '2'), opaque('d')],
      ['d/', 'd/g=2'],
      ['0 whiteout-after-entry /d/e'],
    ],
    ['a whiteout makes its directory', [whiteout('d/x')], ['d/'], ['0 whiteout-of-missing-path /d']],
  ])('%s', (_title, parts, shown, report) => {
    expect(linesOf(flatten([parts], {}, { semantics: 'overlayfs' }).tree)).toEqual(shown)
    expect(rulesOf([parts])).toEqual(report)
  })
})

describe('the report', () => {
  test('says what nodes show, in words', () => {
    expect(
      reported([
        BASE,
        [whiteout('d'), dir('d'), file('lib/y', 'y'), dir('no'), whiteout('no/x')],
        [file('n', 'n', { uid: 1 }), hardlink('h', 'n', { mode: 0o600 })],
      ]),
    ).toEqual([
      '1 recreated-directory /d/old: a file of a lower layer: a directory that one layer both hides and has is merged with the lower one',
      '1 parent-symlink /lib: a directory in place of the symlink to usr/lib, with only what this layer adds',
      '1 whiteout-of-missing-path /no/x: a name that is listed and cannot be opened',
      '1 parent-symlink /usr/lib/y: nothing: what the layer puts behind a symlink of a lower layer lands in a new directory in place of the link',
      '2 hard-link-attributes /h: mode 0600 instead of 0644, owner 0:0 instead of 1:0',
      '2 hard-link-attributes /n: mode 0600 instead of 0644, owner 0:0 instead of 1:0',
    ])
  })

  test('names the layer that made the difference, not one that only touched the place', () => {
    expect(rulesOf([BASE, [whiteout('d'), dir('d')], [dir('d', { mode: 0o700 }), file('d/z', 'z')]])).toEqual(
      ['1 recreated-directory /d/old'],
    )
  })

  test('is silent about differences that a higher layer ends', () => {
    expect(rulesOf([BASE, [file('lib/y', 'y')], [whiteout('lib'), whiteout('usr')]])).toEqual([])
    expect(rulesOf([BASE, [whiteout('no/x')], [whiteout('no')]])).toEqual([])
  })

  test('ends a name without a file when a higher layer has its directory, too', () => {
    expect(rulesOf([BASE, [dir('no'), whiteout('no/x')], [dir('no')]])).toEqual([])
  })

  test('does not compare the time of directories without entries: it is another one on every node', () => {
    expect(rulesOf([[dir('d', { mtime: 5 })], [file('d/e/f', 'x'), whiteout('d/nope')]])).toEqual([])
  })

  test('compares the time of a directory only where the layer has an entry for it', () => {
    expect(rulesOf([[file('d/x'), dir('d', { mtime: -5 })]])).toEqual(['0 negative-mtime /d'])
    expect(rulesOf([[dir('d', { mtime: -5 })], [file('d/x')]])).toEqual([])
  })

  test('follows absolute symlinks of the layer itself from the root', () => {
    const layers = [BASE, [dir('q'), symlink('q/l', '/d'), file('q/l/y', 'y')]]
    expect(rulesOf(layers)).toEqual([])
    expect(linesOf(flatten(layers, {}, { semantics: 'overlayfs' }).tree)).toContain('d/y=y')
  })

  const marked = { xattrs: { 'user.a': '1' } }
  test.each<[string, readonly (readonly LayerPart[])[], string[]]>([
    [
      'a lower directory that an opaque marker hides',
      [
        [dir('d'), dir('d/e', { mode: 0o700 })],
        [dir('d'), opaque('d'), file('d/e/x')],
      ],
      ['1 directory-attributes /d/e'],
    ],
    [
      'a lower directory, when the entry comes after a child',
      [[dir('d', marked)], [file('d/x'), dir('d')]],
      ['1 directory-attributes /d'],
    ],
    ['an earlier entry of the layer', [[dir('d', marked), dir('d')]], ['0 directory-attributes /d']],
    ['nowhere else', [[dir('d', marked)], [dir('d'), file('d/x')]], []],
  ])('tells when a directory has attributes of %s', (_title, layers, rules) => {
    expect(rulesOf(layers)).toEqual(rules)
  })

  test('tells of single engines where the others agree', () => {
    expect(rulesOf([[file('n', '1'), file('n', '2')]])).toEqual(['0 duplicate /n'])
    expect(rulesOf([BASE, [dir('d', { xattrs: { 'trusted.overlay.opaque': 'y' } })]])).toEqual([
      '1 overlay-xattr /d',
    ])
  })

  test('stays small for a layer that repeats one oddity', () => {
    const files = Array.from({ length: 1500 }, (_, index) => file(`d/f${index}`, ''))
    const devices = Array.from({ length: 1500 }, (_, index) => charDevice(`d/f${index}`, 0, 0))
    const { divergences } = flatten([files, devices]).report
    expect(divergences).toHaveLength(1001)
    expect(divergences.at(-1)?.overlayfs).toBe('500 more of the same are not listed')
  })

  test('looks at no more directories than a merge may make', () => {
    // A layer whose every entry implies hundreds of directories would fill memory before it is refused.
    const deep = Array.from({ length: 3 }, (_, at) => file(`${at}/${'x/'.repeat(10)}f`, ''))
    const entries = readTar(layer(deep))
    const couldDiverge = (maxEntries: number): boolean =>
      atOnce(new OverlayfsSurvey({ maxEntries }, new WorkSlices()).couldDiverge(entries, emptyTree(), 0))
    expect([couldDiverge(33), couldDiverge(34)]).toEqual([true, false])
    expect(failureOf(() => flatten([deep], { maxEntries: 20 }))).toMatch(/^LimitExceeded: .*\(maxEntries\)$/)
  })

  test('gives up on layers that are made to take for ever, and says so', () => {
    const layers = [
      [file('n', '', { mtime: -1 })],
      ...Array.from({ length: 5 }, (_, at) => [file(`${at}/${'x/'.repeat(100)}f`, '')]),
    ]
    const { divergences } = flatten(layers, {}, { budget: new WorkBudget(2000) }).report
    expect(divergences.map(({ rule, path }) => `${rule} ${path}`)).toEqual(['not-compared /'])
    expect(rulesOf(layers)).toEqual(['0 negative-mtime /n'])
    expect(
      failureOf(() => flatten(layers, {}, { semantics: 'overlayfs', budget: new WorkBudget(2000) })),
    ).toMatch(/^LimitExceeded: layer 1: /)
  })
})

describe('under overlayfs', () => {
  test('layers that the specification forbids are taken as nodes take them, and the report says so', () => {
    const layers = [BASE, [file('f/x', 'x')]]
    const { tree, report } = flatten(layers, {}, { semantics: 'overlayfs' })
    expect(linesOf(tree)).toEqual(based(['f=base'], ['f/', 'f/x=x']))
    expect(report.divergences.map(({ rule, layer }) => `${layer} ${rule}`)).toEqual(['1 spec-refuses'])
    expect(report.divergences[0]?.overlayfs).toContain('/f is not a directory')
    expect(failureOf(() => flatten(layers))).toContain('InvalidLayer')
  })

  test.each<[string, LayerPart, string]>([
    ['names that lead out of the root', file('../x', ''), 'PathEscape'],
    ['whiteouts of the directory itself', file('d/.wh..', ''), 'InvalidWhiteout'],
    ['names that no file system takes', file('n'.repeat(256), ''), 'InvalidLayer'],
    ['links to nothing', hardlink('h', 'nothing'), 'InvalidLayer'],
  ])('%s are refused as ever', (_title, part, reason) => {
    expect(failureOf(() => flatten([BASE, [part]], {}, { semantics: 'overlayfs' }))).toMatch(
      new RegExp(`^${reason}: layer 1`),
    )
  })

  test('a symlink that leads to itself is found out at once', () => {
    const layers = [[symlink('l', 'l/l/l'), file('l/x', '')]]
    const options = { semantics: 'overlayfs', budget: new WorkBudget(2000) } as const
    expect(failureOf(() => flatten(layers, {}, options))).toContain('its parent is a loop of symlinks')
  })

  // Steps are counted, not seconds: at least so many for what is looked at, and no more than twice that.
  test.each<[string, LayerPart[], number]>([
    [
      'many links, of which 255 are followed',
      [symlink('l', '.'), hardlink('h', `${'l/'.repeat(9000)}x`)],
      9000,
    ],
    [
      'long links',
      [symlink('l', `${'a/../'.repeat(818)}.`), hardlink('h', `${'l/'.repeat(9000)}x`)],
      900_000,
    ],
    ['a way up and down', [hardlink('h', `${'d/'.repeat(800)}${'x/../'.repeat(800)}f`)], 640_000],
  ])('a hard link through %s costs what is looked at', (_title, parts, least) => {
    const layers = [[dir('a'), file('n', '', { mtime: -1 }), ...parts]]
    const refusal = (steps: number): string =>
      failureOf(() => flatten(layers, {}, { semantics: 'overlayfs', budget: new WorkBudget(steps) }))
    expect(refusal(least)).toMatch(/^LimitExceeded: layer 0: /)
    expect(refusal(least * 2)).toMatch(/^InvalidLayer: layer 0 \(h\): /)
  })

  test('what nodes cannot unpack is merged by the specification where that is allowed', () => {
    const layers = [BASE, [hardlink('h', 'f')], [file('lib/y', 'y')]]
    const { tree, report } = flatten(layers, {}, { semantics: 'overlayfs', fallsBack: true })
    expect(linesOf(tree)).toEqual(based([], ['h=base', 'usr/lib/y=y']))
    expect(report.divergences.map(({ rule }) => rule)).toEqual(['hard-link-to-lower-file'])
    const refused = [BASE, [file('f/x', 'x')], [hardlink('h', 'd/old')]]
    expect(failureOf(() => flatten(refused, {}, { semantics: 'overlayfs', fallsBack: true }))).toMatch(
      /^InvalidLayer: layer 2 \(h\): nodes with overlayfs can't unpack the layer/,
    )
    const spent = { semantics: 'overlayfs', fallsBack: true, budget: new WorkBudget(10) } as const
    expect(flatten([BASE, [file('lib/y', 'y')]], {}, spent).report.divergences).toMatchObject([
      { rule: 'not-compared' },
    ])
  })

  test('a directory without an entry has the attributes of the nearest lower one', () => {
    const { tree } = flatten(
      [[dir('r/d', { mode: 0o700, uid: 3 }), symlink('l', 'r/d')], [file('l/x', 'x')]],
      {},
      { semantics: 'overlayfs' },
    )
    expect(fullLinesOf(tree)).toContain('l/ 700 3:0 1700000000+0')
  })
})

describe('where nodes read the archive otherwise, the report says so', () => {
  const x = tarHeader({ name: 'x', type: '0' })
  test.each<[string, readonly (readonly LayerPart[])[], string[]]>([
    [
      'at both names of an entry, and the directories above them',
      [[gnuLong('L', 'a/b/node'), pax({ path: 'ours' }), x]],
      ['0 read-otherwise /a', '0 read-otherwise /ours'],
    ],
    [
      'of what a global header takes away',
      [[file('f'), dir('d'), paxGlobal({ path: 'f' })]],
      ['0 read-otherwise /f'],
    ],
    [
      'of what a global header hides in lower layers',
      [[file('f')], [paxGlobal({ path: '.wh.f' })]],
      ['1 read-otherwise /f'],
    ],
    ['of directories that a global header makes', [[paxGlobal({ path: 'd/g' })]], ['0 read-otherwise /d']],
    [
      'of no global header that nothing is named after',
      [[file('f'), paxGlobal({ path: 'g' }), dir('g')]],
      [],
    ],
    [
      'of layers that they refuse',
      [[file('f')], [tarHeader({ name: 't', type: '7' })]],
      ['1 archive-refused /t'],
    ],
    [
      'of devices that are whiteouts to Linux',
      [[file('f')], [charDevice('f', 4096, 2 ** 20)]],
      ['1 char-device-0-0 /f'],
    ],
  ])('%s', (_title, layers, expected) => {
    expect(rulesOf(layers)).toEqual(expected)
  })
})
