/** Reasons are part of the API: each one can happen, and each one is explained. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { REASONS } from '../../src/errors.ts'
import { ROOT, sourceFiles } from './source-files.ts'

const TROUBLESHOOTING = path.join(ROOT, 'docs/troubleshooting.md')
const isWritten = existsSync(TROUBLESHOOTING)

const code = sourceFiles('src')
  .filter((file) => file.path !== 'src/errors.ts')
  .map((file) => file.code)
  .join('\n')

/** Headings of any level that consist of one reason, with or without backticks. */
function sections(): readonly string[] {
  const text = readFileSync(TROUBLESHOOTING, 'utf8')
  return [...text.matchAll(/^#{2,4} `?([A-Z][A-Za-z]+)`?\s*$/gm)].map((match) => match[1] ?? '')
}

describe('reasons', () => {
  test('are listed once', () => {
    expect(new Set(REASONS).size).toBe(REASONS.length)
  })

  test('are each given by some code', () => {
    expect(REASONS.filter((reason) => !code.includes(`'${reason}'`))).toEqual([])
  })

  test.skipIf(!isWritten)('have each one section in docs/troubleshooting.md', () => {
    const found = sections()
    expect(REASONS.filter((reason) => found.filter((section) => section === reason).length !== 1)).toEqual([])
  })

  test.skipIf(!isWritten)('are the only ones that docs/troubleshooting.md knows', () => {
    const known = new Set<string>(REASONS)
    expect(sections().filter((section) => !known.has(section))).toEqual([])
  })
})
