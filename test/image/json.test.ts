import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStrictJson } from '../../src/image/json.ts'
import { failureOf } from '../support/expected-error.ts'

const mapKeys = new Set(['Labels', 'annotations'])
const read = (text: string | Buffer, maxBytes?: number) =>
  parseStrictJson(Buffer.from(text), {
    reason: 'InvalidManifest',
    what: 'manifest x',
    mapKeys,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  })

describe('strict JSON', () => {
  test.each([
    ['{"a":1,"a":2}', 'has the key "a" twice'],
    ['{"a":1,"\\u0061":2}', 'has the key "a" twice'],
    ['{"x":{"layers":[],"Layers":[]}}', 'differ by case only'],
    ['[[{"b":{},"B":{}}]]', 'differ by case only'],
    // Go folds these two to s and k.
    ['{"layers":1,"layer\u017f":2}', 'differ by case only'],
    ['{"k":1,"\u212a":2}', 'differ by case only'],
    ['{"Labels":{"a":"1","a":"2"}}', 'has the key "a" twice'],
    ['{"Labels":{"x":{"a":1,"A":2}}}', 'differ by case only'],
    ['{"__proto__":1,"__proto__":2}', 'has the key "__proto__" twice'],
    ['{"a":1', 'is not valid JSON'],
    ['{"a":1}x', 'is not valid JSON'],
    ['', 'is not valid JSON'],
    ['\ufeff{}', 'is not valid JSON'],
    ["{'a':1}", 'is not valid JSON'],
    [`${'['.repeat(65)}${']'.repeat(65)}`, 'nested deeper than 64'],
    [`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`, 'nested deeper than 64'],
  ])('%s is refused: %s', async (text, problem) => {
    const failure = await failureOf(() => read(text))
    expect(failure).toContain('InvalidManifest: manifest x ')
    expect(failure).toContain(problem)
  })

  test.each([
    ['{"Labels":{"a":"1","A":"2"}}'],
    ['{"annotations":{"maintainer":"x","Maintainer":"y"},"b":{"c":1}}'],
    ['{"a":{"x":1},"b":{"x":1}}'],
    ['[{"a":1},{"a":2}]'],
    ['{"a":"{\\"a\\":1,\\"a\\":2}","b":"\\\\"}'],
    ['{"a":["x","x"],"b":"a"}'],
    [`${'['.repeat(64)}${']'.repeat(64)}`],
  ])('%s is read as written', (text) => {
    expect(read(text)).toEqual(JSON.parse(text))
  })

  test('refuses bytes that are not UTF-8', async () => {
    expect(await failureOf(() => read(Buffer.from([0x22, 0xff, 0x22])))).toContain('is not valid UTF-8')
  })

  test('refuses what is larger than the limit', async () => {
    expect(read('[1,2]', 5)).toEqual([1, 2])
    expect(await failureOf(() => read('[1,23]', 5))).toBe(
      'LimitExceeded: manifest x has 6 bytes; at most 5 are read',
    )
  })

  test('agrees with JSON.parse on every document without twins', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        // Twins by case are what is refused on top.
        fc.pre(!hasTwins(JSON.parse(text)))
        expect(read(text)).toEqual(JSON.parse(text))
      }),
    )
  })
})

function hasTwins(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const keys = Array.isArray(value) ? [] : Object.keys(value).map((key) => key.toUpperCase().toLowerCase())
  return new Set(keys).size !== keys.length || Object.values(value).some(hasTwins)
}
