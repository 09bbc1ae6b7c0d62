import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DIVERGENCE_KINDS, kindOf } from './divergence-kinds.ts'
import { DIVERGENCE_PAGE_FILE, divergencePage } from './divergence-page.ts'
import { makeTable, readTable, upstreamVersion } from './divergence-table.ts'
import type { Comparison } from './compare.ts'

const table = readTable()

test('the page is made of the table: run test/conformance/layers/run.ts --update', () => {
  expect(readFileSync(DIVERGENCE_PAGE_FILE, 'utf8')).toBe(divergencePage(table))
})

test('every case of the table has a heading, and every number only one', () => {
  expect(table.cases.map(({ id }) => id).filter((id) => kindOf(id) === undefined)).toEqual([])
  const keys = DIVERGENCE_KINDS.flatMap(({ cases }) => cases)
  expect(keys).toHaveLength(new Set(keys).size)
})

test('the page has every case of the table once', () => {
  const page = divergencePage(table)
  const missing = table.cases.filter(({ id }) => page.split(`**${id}**`).length !== 2)
  expect(missing).toEqual([])
})

test('the table has no row of ours: on every case Fairlead does what it says', () => {
  expect(table.cases.filter(({ tools }) => tools['fairlead'] !== undefined)).toEqual([])
})

test('lines are for 80 columns, but for trees, which are told as they are', () => {
  const prose = divergencePage(table).replaceAll(/ {2}```[^`]*```/g, '')
  const long = prose.split('\n').filter((line) => line.length > 80 && !/^(?:<!--|\|)/.test(line))
  expect(long).toEqual([])
})

test('a table keeps the order of the suite and leaves out what is right', () => {
  const right: Comparison = { verdict: 'equal', differences: [], everywhere: ['directory-time'] }
  const wrong: Comparison = { verdict: 'different', differences: ['+ x ""'], everywhere: [] }
  const comparisons = new Map([
    ['b', wrong],
    ['1', right],
    ['10', wrong],
    ['2', wrong],
  ])
  const cases = ['b', '10', '1', '2'].map((id) => ({ id, title: `title of ${id}` }))
  expect(makeTable(cases, [{ tool: 'umoci', version: '0.4.7+ds-3', comparisons }])).toEqual({
    tools: { umoci: '0.4.7' },
    everywhere: { umoci: ['directory-time'] },
    cases: ['b', '10', '2'].map((id) => ({ id, title: `title of ${id}`, tools: { umoci: ['+ x ""'] } })),
  })
})

test.each([
  ['0.4.7+ds-3+b7', '0.4.7'],
  ['1.28.2', '1.28.2'],
  ['2.4.2+unknown', '2.4.2'],
  ['4.2.0-rc.1', '4.2.0'],
])('%s is upstream %s', (version, upstream) => {
  expect(upstreamVersion(version)).toBe(upstream)
})
