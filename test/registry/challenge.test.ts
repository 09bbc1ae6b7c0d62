import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseChallenges } from '../../src/registry/challenge.ts'

const parsed = (header: string | readonly string[] | undefined) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

describe('WWW-Authenticate', () => {
  test.each<[string | readonly string[] | undefined, unknown]>([
    [undefined, []],
    ['', []],
    ['Basic', [['basic', {}]]],
    ['Basic realm="x"', [['basic', { realm: 'x' }]]],
    ['BASIC Realm=x', [['basic', { realm: 'x' }]]],
    [
      'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
      [['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' }]],
    ],
    ['Bearer realm = "a" ,  service = b', [['bearer', { realm: 'a', service: 'b' }]]],
    [
      'Basic realm="a", Bearer realm="b"',
      [
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'b' }],
      ],
    ],
    [
      'Negotiate, Bearer realm="b"',
      [
        ['negotiate', {}],
        ['bearer', { realm: 'b' }],
      ],
    ],
    [
      'Negotiate YWJj==, Basic realm="a"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'a' }],
      ],
    ],
    ['Negotiate YWJj', [['negotiate', {}]]],
    ['Basic realm="say \\"hi\\", ok"', [['basic', { realm: 'say "hi", ok' }]]],
    ['Bearer realm="a",,, service="b"', [['bearer', { realm: 'a', service: 'b' }]]],
    [
      ['Basic realm="a"', 'Bearer realm="b"'],
      [
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'b' }],
      ],
    ],
    // The first of two counts, so nothing appended can redirect us.
    ['Bearer realm="good",realm="evil"', [['bearer', { realm: 'good' }]]],
    // What can't be read ends the list.
    [
      'Bearer realm="unclosed',
      [
        ['bearer', {}],
        ['realm', {}],
      ],
    ],
    ['"junk"', []],
  ])('%j is read', (header, expected) => {
    expect(parsed(header)).toEqual(expected)
  })

  test('never throws and never takes long, whatever comes', () => {
    const unit = fc.constantFrom('Bearer', ' ', ',', '=', '"', '\\', 'realm', 'a', '==', '\t', 'é')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (header) => {
        expect(Array.isArray(parseChallenges(header))).toBe(true)
      }),
    )
    const before = process.cpuUsage()
    for (const hostile of [
      '"\\'.repeat(50_000),
      'a='.repeat(50_000),
      'a '.repeat(50_000),
      ',='.repeat(50_000),
    ])
      parseChallenges(hostile)
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })
})
