/** House rules that a linter does not know. */
import { describe, expect, test } from 'vitest'
import { sourceFiles } from './source-files.ts'
import type { SourceFile } from './source-files.ts'

const LINES_MAX = 400
const files = sourceFiles('src')

function linesOf(file: SourceFile): number {
  return file.text.split('\n').length - 1
}

/** The comment that says what a file is: the first thing in it. */
function hasHeader(file: SourceFile): boolean {
  return /^(?:#![^\n]*\n)?(?:\/\*\*|\/\/)/.test(file.text)
}

describe('source files', () => {
  test('are there', () => {
    expect(files.length).toBeGreaterThan(50)
  })

  test(`have at most ${LINES_MAX} lines`, () => {
    const long = files.filter((file) => linesOf(file) > LINES_MAX)
    expect(long.map((file) => `${file.path}: ${linesOf(file)} lines`)).toEqual([])
  })

  test('are short on the whole: the median is at most 130 lines', () => {
    const sorted = files.map(linesOf).toSorted((a, b) => a - b)
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThanOrEqual(130)
  })

  test('begin by saying what they are', () => {
    expect(files.filter((file) => !hasHeader(file)).map((file) => file.path)).toEqual([])
  })

  test('leave nothing for later', () => {
    const marks = /\b(?:TODO|FIXME|XXX|HACK)\b/
    expect(files.filter((file) => marks.test(file.text)).map((file) => file.path)).toEqual([])
  })

  test('end the process only in main.ts', () => {
    const ending = files.filter((file) => /\bprocess\.exit\(/.test(file.code))
    expect(ending.map((file) => file.path).filter((name) => name !== 'src/main.ts')).toEqual([])
  })
})
