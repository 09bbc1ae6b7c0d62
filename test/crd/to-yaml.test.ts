import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

import { parseDocuments } from '../../src/crd/documents.ts'
import { toYaml } from '../../src/crd/to-yaml.ts'
import type { AppSpec } from '../../src/crd/types.ts'

test('writes members in their order, without aliases, and leaves out what is undefined', () => {
  const shared = { path: '/a' }
  expect(toYaml({ z: 1, a: [shared, shared], gone: undefined, empty: {}, none: [] })).toBe(
    'z: 1\na:\n  - path: /a\n  - path: /a\nempty: {}\nnone: []\n',
  )
})

test.each([
  'yes',
  'No',
  'on',
  'y',
  'null',
  '~',
  '',
  '0644',
  '0o7',
  '1_000',
  '.5',
  '1e3',
  '12:30:45',
  '1:30',
  '2026-01-01',
  '=',
  '<<',
  '0b1',
  '+1',
  'true',
  '0x1f',
  '.inf',
  '-',
])('puts %j in quotes, so that YAML 1.1 reads it as text too', (text) => {
  const yaml = toYaml({ [text]: [text] })
  expect(yaml).toBe(`${JSON.stringify(text)}:\n  - ${JSON.stringify(text)}\n`)
  expect(parse(yaml, { version: '1.1' })).toEqual({ [text]: [text] })
})

test.each(['\u0085', '\u2028', '\u2029', '\u007f', '\ufeff', '\u001b[31m', '\0'])('escapes %j', (char) => {
  const yaml = toYaml([`a${char}b`, { [`k${char}`]: 1 }])
  expect(yaml).not.toContain(char.charAt(0))
  expect(parse(yaml)).toEqual([`a${char}b`, { [`k${char}`]: 1 }])
})

test.each([' \n', '\t\n', 'a\n \nb', '\n \n', 'a\n  ', ' a\n', '\n a', '\n "', '\n\n', 'a\n\n'])(
  'keeps the blanks and line ends of %j',
  (text) => {
    expect(parse(toYaml([text]))).toEqual([text])
  },
)

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        ' ',
        '\n',
        '\t',
        'a',
        '#',
        ': ',
        '- ',
        '"',
        "'",
        '\\',
        '|',
        '>',
        '%',
        '&',
        '*',
        '\u0085',
        '\r',
        '{',
        ']',
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join('')),
)

test('is read back as the same value by YAML 1.2 and 1.1', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(text, tie('any'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).any
  fc.assert(
    fc.property(value, (value) => {
      const yaml = toYaml(value)
      expect(parse(yaml)).toEqual(value)
      expect(parse(yaml, { version: '1.1' })).toEqual(value)
    }),
    { numRuns: 500 },
  )
})

test('an app goes through YAML and comes back with the same spec', () => {
  const argument = text.filter((value) => !value.includes('\0') && value.isWellFormed())
  const spec: fc.Arbitrary<AppSpec> = fc.record(
    {
      image: argument.filter((image) => image !== ''),
      args: fc.array(argument, { maxLength: 5 }),
      env: fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/), value: argument }), {
        selector: (entry) => entry.name,
        maxLength: 5,
      }),
      replicas: fc.integer({ min: 0, max: 1 }),
      suspend: fc.boolean(),
      volumes: fc.uniqueArray(
        fc.record({
          path: fc.stringMatching(/^\/data\/[a-z]{1,5}\/?$/),
          size: fc.constantFrom('5Gi', '1e9', 42),
        }),
        {
          selector: (volume) => volume.path.replace(/\/$/, ''),
          maxLength: 4,
        },
      ),
    },
    { requiredKeys: ['image'] },
  )
  fc.assert(
    fc.property(spec, (spec) => {
      const yaml = toYaml({
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { name: 'a' },
        spec,
      })
      const { documents, issues } = parseDocuments(yaml, 'a.yaml')
      expect(issues).toEqual([])
      expect(documents.apps[0]?.app.spec).toEqual(spec)
    }),
  )
})
