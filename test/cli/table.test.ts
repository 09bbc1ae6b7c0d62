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
    ['breaks a word that is too long', 'abcdefgh', 3, ['abc', 'def', 'gh']],
    ['is nothing for nothing', '', 10, []],
  ])('%s', (_title, text, width, lines) => {
    expect(wrapText(text, width)).toEqual(lines)
  })

  test('loses nothing but spaces and never is too wide', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (text, width) => {
        const lines = wrapText(text, width)
        expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
        expect(lines.every((line) => Array.from(line).length <= width)).toBe(true)
      }),
    )
  })
})
