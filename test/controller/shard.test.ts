import { describe, expect, test } from 'vitest'
import { leaseNameOf, parseLabelSelector, parseNamespaces } from '../../src/controller/shard.ts'
import { failureOf } from '../support/expected-error.ts'

describe('namespaces', () => {
  test.each<[string | undefined, readonly string[] | undefined]>([
    [undefined, undefined],
    ['chat', ['chat']],
    ['b, a,b', ['a', 'b']],
  ])('%s', (text, expected) => {
    expect(parseNamespaces(text)).toEqual(expected)
  })

  test.each(['', 'a,,b', 'a b', 'Chat', '-a', 'a'.repeat(64), 'a/b', '../x'])(
    'refuses "%s"',
    async (text) => {
      expect(await failureOf(() => parseNamespaces(text))).toMatch(/^InvalidSpec: namespace ".*" cannot be/)
    },
  )
})

describe('a label selector', () => {
  test.each<[string | undefined, string | undefined]>([
    [undefined, undefined],
    ['shard=a', 'shard=a'],
    ['shard == a', 'shard=a'],
    ['shard!=a', 'shard!=a'],
    ['shard=', 'shard='],
    ['shard', 'shard'],
    ['!shard', '!shard'],
    ['shard in (b, a,b)', 'shard in (a,b)'],
    ['shard notin(a)', 'shard notin (a)'],
    ['z=1,a in (x,y),z=1', 'a in (x,y),z=1'],
    ['example.com/shard=A_b.c-1', 'example.com/shard=A_b.c-1'],
  ])('%s', (text, expected) => {
    expect(parseLabelSelector(text)).toBe(expected)
  })

  test.each([
    '',
    'a=b,',
    '=a',
    'a=b=c',
    'a=b c',
    'a in ()()',
    'a in (b',
    'a > 1',
    'Example.com/a=b',
    'a/b/c=d',
    '/a=b',
    'a=-b',
    `a=${'b'.repeat(64)}`,
    'a=b&fieldSelector=x',
    '!',
  ])('refuses "%s"', async (text) => {
    expect(await failureOf(() => parseLabelSelector(text))).toMatch(/^InvalidSpec: ".*" has no valid label/)
  })

  test('refuses one that is too long', async () => {
    expect(await failureOf(() => parseLabelSelector(`a in (${'b,'.repeat(600)})`))).toMatch(
      '1024 characters at most',
    )
  })
})

test('each scope has a Lease of its own', () => {
  const scopes = [
    { namespaces: undefined, labelSelector: undefined },
    { namespaces: ['a'], labelSelector: undefined },
    { namespaces: ['a', 'b'], labelSelector: undefined },
    { namespaces: undefined, labelSelector: 'shard=a' },
    { namespaces: undefined, labelSelector: 'shard=b' },
  ]
  const names = scopes.map((scope) => leaseNameOf('fairlead-controller', scope))
  expect(names[0]).toBe('fairlead-controller')
  expect(new Set(names).size).toBe(scopes.length)
  for (const name of [
    ...names,
    leaseNameOf('x'.repeat(63), scopes[1] ?? { namespaces: [], labelSelector: '' }),
  ])
    expect(name).toMatch(/^[a-z0-9-]{1,63}$/)
  expect(leaseNameOf('l', { namespaces: ['a'], labelSelector: undefined })).toBe(
    leaseNameOf('l', { namespaces: ['a'], labelSelector: undefined }),
  )
})
