import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutText, renderTable, wrapText } from '../../src/cli/table.ts'

describe('a table', () => {
  test.each([
    [
      'pads columns, not the last one',
      [
        ['a', 'bb'],
        ['ccc', 'd'],
      ],
      80,
      'X    Y\na    bb\nccc  d\n',
    ],
    [
      'cuts the middle of a path',
      [['/a/very/long/path/to/a/file', 'x']],
      24,
      'X                      Y\n/a/very/lo…/to/a/file  x\n',
    ],
    ['is nothing without rows', [], 80, ''],
  ])('%s', (_title, rows, width, expected) => {
    expect(renderTable([{ title: 'X', cut: 'middle' }, { title: 'Y' }], rows, width)).toBe(expected)
  })

  test('is never wider than the line, whatever is in it', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 60 })
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 4, maxLength: 4 }), { maxLength: 5 }),
        fc.integer({ min: 20, max: 100 }),
        (rows, width) => {
          const columns = [
            { title: 'NAME', cut: 'middle' as const },
            { title: 'SIZE', align: 'right' as const },
            { title: 'A', cut: 'end' as const },
            { title: 'B' },
          ]
          const lines = renderTable(
            columns,
            rows.map((row) => row.map((text) => text.replaceAll('\n', ' '))),
            width,
          ).split('\n')
          expect(lines.every((line) => Array.from(line).length <= width)).toBe(true)
        },
      ),
    )
  })
})

describe('what people copy', () => {
  const columns = [
    { title: 'NAME', cut: 'middle' as const },
    { title: 'PATH', cut: 'never' as const },
    { title: 'CLAIM', cut: 'never' as const, below: true },
  ]
  const rows = [
    ['a-name-that-may-be-cut', '/a/path/that/stays', 'a-claim-that-stays'],
    ['b', '/c', '-'],
  ]

  test('stands in one line where there is room', () => {
    expect(renderTable(columns, rows, 62)).toBe(
      [
        'NAME                    PATH                CLAIM',
        'a-name-that-may-be-cut  /a/path/that/stays  a-claim-that-stays',
        'b                       /c                  -',
        '',
      ].join('\n'),
    )
  })

  test('goes below its row where there is not, and is never cut', () => {
    expect(renderTable(columns, rows, 30)).toBe(
      [
        'NAME        PATH',
        'a-na…e-cut  /a/path/that/stays',
        '  claim a-claim-that-stays',
        'b           /c',
        '',
      ].join('\n'),
    )
  })

  test('makes the line longer where nothing else can give way', () => {
    expect(renderTable(columns, rows, 12).split('\n')[1]).toBe('a-na…e-cut  /a/path/that/stays')
  })
})

describe('cut text', () => {
  test.each([
    ['short stays', 'abc', 5, 'end', 'abc'],
    ['end', 'abcdef', 4, 'end', 'abc…'],
    ['middle', 'abcdefgh', 5, 'middle', 'ab…gh'],
    ['one character', 'abc', 1, 'end', '…'],
    ['nothing', 'abc', 0, 'end', ''],
    ['no half of a pair', '😀😀😀😀', 3, 'end', '😀😀…'],
  ] as const)('%s', (_title, text, width, where, expected) => {
    expect(cutText(text, width, where)).toBe(expected)
  })
})

describe('wrapped text', () => {
  test.each([
    ['breaks at spaces', 'one two three', 8, ['one two', 'three']],
    ['keeps a word that is too long', 'ab cdefgh i', 3, ['ab', 'cdefgh', 'i']],
    [
      'keeps a quoted command',
      'look at "kubectl describe pvc": it tells',
      12,
      ['look at', '"kubectl describe pvc":', 'it tells'],
    ],
    [
      'gives a command a line of its own',
      'run it: kubectl a b && kubectl c -n d; then wait',
      20,
      ['run it:', 'kubectl a b &&', 'kubectl c -n d;', 'then wait'],
    ],
    ['but takes no sentence for one', 'kubectl finds it here: fine', 14, ['kubectl finds', 'it here: fine']],
    [
      'is one line without an end of it',
      'run it: kubectl a b',
      Number.POSITIVE_INFINITY,
      ['run it: kubectl a b'],
    ],
    ['is nothing for nothing', '', 10, []],
  ])('%s', (_title, text, width, lines) => {
    expect(wrapText(text, width)).toEqual(lines)
  })

  test('loses nothing but spaces and is too wide for single words only', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (text, width) => {
        const lines = wrapText(text, width)
        expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
        expect(lines.every((line) => !line.includes(' ') || Array.from(line).length <= width)).toBe(true)
      }),
    )
  })
})
