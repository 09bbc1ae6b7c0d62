/** Each guard of the security model names a test that shows it. That the files are there, the test of all links checks. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { pages } from './markdown.ts'
import { ROOT, sourceFiles } from './source-files.ts'

/** Numbers of published flaws. */
const FLAW = /CVE-\d{4}-\d+|GHSA(?:-[a-z0-9]{4}){3}/g

const security = pages().find(({ path: name }) => name === 'docs/security.md')?.prose ?? ''
const rows = security
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
const guards = rows.filter(([guard]) => guard !== 'Guard')

describe('the security model', () => {
  test('has a table for containers, clusters, images and registries', () => {
    expect(rows.length - guards.length).toBe(4)
    expect(guards.length).toBeGreaterThan(50)
  })

  test.each(guards.map(([guard = '', ...cells]) => [guard.slice(0, 80), cells] as const))(
    'says what it stops and which test shows it: %s',
    (_guard, cells) => {
      const [stops = '', , shownBy = ''] = cells
      expect(cells).toHaveLength(3)
      expect(stops.length).toBeGreaterThan(5)
      const tests = [...shownBy.matchAll(/\]\(\.\.\/(test\/[^)]+)\)/g)].map((match) => match[1] ?? '')
      expect(tests.length).toBeGreaterThan(0)
      for (const file of tests) expect(readFileSync(path.join(ROOT, file), 'utf8')).not.toBe('')
    },
  )

  test('leaves out no flaw that the code says it answers', () => {
    const named = new Set(security.match(FLAW))
    const answered = sourceFiles('src').flatMap(({ text }) => [...(text.match(FLAW) ?? [])])
    expect(answered.length).toBeGreaterThan(5)
    expect(answered.filter((flaw) => !named.has(flaw))).toEqual([])
  })
})
