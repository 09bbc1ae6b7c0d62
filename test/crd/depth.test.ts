import { describe, expect, test } from 'vitest'
import { cutBelow, isDeeperThan, MAX_LEVELS, pathBelow } from '../../src/crd/depth.ts'
import { parseApp } from '../../src/crd/app.ts'
import { anApp } from './an-app.ts'

/** `{a: {a: … 1}}` with so many objects, made without recursion. */
function nested(levels: number, inside: unknown = 1): unknown {
  return Array.from({ length: levels }).reduce((below) => ({ a: below }), inside)
}

const DEEP = 100_000

describe('depth', () => {
  test.each<[string, unknown, number, boolean]>([
    ['a text', 'x', 0, false],
    ['an object', {}, 0, false],
    ['an object in an object', { a: {} }, 0, true],
    ['a text in an object', { a: 'x' }, 0, false],
    ['lists', [[[]]], 1, true],
    ['lists that fit', [[[]]], 2, false],
    ['what is wide', Array.from({ length: 1000 }, () => ({})), 1, false],
    ['what no stack holds', nested(DEEP), MAX_LEVELS, true],
  ])('of %s', (_title, value, levels, deeper) => {
    expect(isDeeperThan(value, levels)).toBe(deeper)
  })

  test('is told by the beginning of a path', () => {
    expect(pathBelow({ b: [{}, { c: nested(9) }] }, 5)).toEqual(['b', 1, 'c', 'a'])
    expect(pathBelow({ b: 1 }, 0)).toBeUndefined()
  })

  test('can be cut', () => {
    expect(cutBelow({ a: [{ b: { c: 1 } }], d: 'x' }, 2)).toEqual({ a: [{}], d: 'x' })
    expect(cutBelow({ a: { b: [1] } }, 2)).toEqual({ a: { b: [] } })
    expect(isDeeperThan(cutBelow(nested(DEEP), 70), 70)).toBe(false)
    expect(isDeeperThan(cutBelow(nested(DEEP), 70), 69)).toBe(true)
  })
})

test.each([3000, DEEP])('a resource that is nested %i levels deep is refused with its path', (levels) => {
  const parsed = parseApp(anApp({ podTemplate: { spec: nested(levels) } }), '')
  expect(parsed).toMatchObject({
    issues: [{ severity: 'error', reason: 'InvalidSpec', path: 'spec.podTemplate.spec.a.a' }],
  })
})

test('a resource as deep as it may be is taken', () => {
  expect(parseApp(anApp({ podTemplate: { spec: nested(MAX_LEVELS - 1) } }), '')).toHaveProperty('app')
  expect(parseApp(anApp({ podTemplate: { spec: nested(MAX_LEVELS) } }), '')).toHaveProperty('issues')
})
