import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { isWholeQuantity, parseMilliQuantity, parseQuantity } from '../../src/crd/quantity.ts'

describe('parseQuantity', () => {
  test.each([
    ['0', 0n],
    ['5Gi', 5n * 1024n ** 3n],
    ['1.5Gi', 1_610_612_736n],
    ['1Ki', 1024n],
    ['1k', 1000n],
    ['.5k', 500n],
    ['5.', 5n],
    ['+2M', 2_000_000n],
    ['1e3', 1000n],
    ['1E3', 1000n],
    ['1E', 10n ** 18n],
    ['12e-1', 2n],
    ['512m', 1n],
    ['1n', 1n],
    ['7Ei', 7n * 1024n ** 6n],
    ['9223372036854775807', 2n ** 63n - 1n],
    [42, 42n],
  ])('reads %s as %s', (text, units) => {
    expect(parseQuantity(text)).toBe(units)
  })

  test.each([
    ['the empty text', ''],
    ['a unit alone', 'Gi'],
    ['a wrong unit', '5GB'],
    ['a lower-case binary unit', '5gi'],
    ['a negative number', '-1'],
    ['a space', '5 Gi'],
    ['a comma', '1,5Gi'],
    ['a line end', '5Gi\n'],
    ['an exponent without a number', '1e'],
    ['a fraction in the exponent', '1e1.5'],
    ['a dot alone', '.'],
    ['two units', '5GiGi'],
    ['hexadecimal', '0x10'],
    ['what does not fit into 63 bits', '8Ei'],
    ['a huge exponent', '1e999'],
    ['a text longer than any number', '1'.repeat(100)],
    ['NaN', Number.NaN],
  ])('refuses %s', (_what, text) => {
    expect(parseQuantity(text)).toBeUndefined()
  })

  test('reads whole numbers with every decimal unit as the product', () => {
    const units = { '': 1n, k: 10n ** 3n, M: 10n ** 6n, Ki: 1024n, Mi: 1024n ** 2n, Gi: 1024n ** 3n }
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 ** 9 }),
        fc.constantFrom(...Object.entries(units)),
        (number, [unit, factor]) => {
          expect(parseQuantity(`${number}${unit}`)).toBe(BigInt(number) * factor)
        },
      ),
    )
  })

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(['bigint', 'undefined']).toContain(typeof parseQuantity(text))
      }),
    )
  })
})

test.each([
  ['500m', 500n],
  ['0.5', 500n],
  ['2', 2000n],
  ['1u', 1n],
  ['0.0001', 1n],
  ['1Ki', 1_024_000n],
])('reads %s as %s thousandths', (text, milli) => {
  expect(parseMilliQuantity(text)).toBe(milli)
})

test.each([
  ['512', true],
  ['1.5Ki', true],
  ['2000m', true],
  ['512m', false],
  ['0.1Ki', false],
  ['nothing', false],
])('knows whether %s is a whole number: %s', (text, isWhole) => {
  expect(isWholeQuantity(text)).toBe(isWhole)
})
