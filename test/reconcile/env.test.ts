import { expect, test } from 'vitest'
import { desiredEnv } from '../../src/reconcile/env.ts'
import { anApp, frozen, sources } from '../support/builders.ts'

const SOURCES = frozen(
  sources(
    {
      db: {
        USER: 'root',
        PASSWORD: 'pa$$word$(USER)',
        'not a name': 'x',
        '1digit': 'x',
        'dot.and-dash': 'y',
      },
      more: { USER: 'other' },
      empty: {},
    },
    { settings: { USER: 'from-config', MODE: 'fast' } },
  ),
)

function env(spec: Record<string, unknown>): Record<string, string> {
  const result = desiredEnv(anApp(spec), SOURCES)
  expect(result.issues).toEqual([])
  return Object.fromEntries(result.env.map(({ name, value }) => [name, value]))
}

const secretRef = (name: string, more = {}) => ({ secretRef: { name, ...more } })
const secretKey = (name: string, key: string, more = {}) => ({
  valueFrom: { secretKeyRef: { name, key, ...more } },
})

test('envFrom brings every key that is a name', () => {
  expect(env({ envFrom: [secretRef('db')] })).toEqual({
    USER: 'root',
    PASSWORD: 'pa$$word$(USER)',
    'dot.and-dash': 'y',
  })
})

test.each([
  ['a later source wins over an earlier one', { envFrom: [secretRef('db'), secretRef('more')] }, 'other'],
  [
    'a ConfigMap wins over an earlier Secret',
    { envFrom: [secretRef('db'), { configMapRef: { name: 'settings' } }] },
    'from-config',
  ],
  ['env wins over envFrom', { envFrom: [secretRef('db')], env: [{ name: 'USER', value: 'mine' }] }, 'mine'],
  ['an absent value is empty', { env: [{ name: 'USER' }] }, ''],
  [
    'a prefix stands before the key',
    {
      envFrom: [{ prefix: 'US', configMapRef: { name: 'settings' } }],
      env: [{ name: 'USER', value: '$(USMODE)' }],
    },
    'fast',
  ],
  [
    'a reference sees what stands before it',
    {
      env: [
        { name: 'A', value: '1' },
        { name: 'USER', value: '$(A)2' },
      ],
    },
    '12',
  ],
  [
    'a reference does not see what stands after it',
    {
      env: [
        { name: 'USER', value: '$(A)' },
        { name: 'A', value: '1' },
      ],
    },
    '$(A)',
  ],
  [
    'a reference sees envFrom',
    { envFrom: [{ configMapRef: { name: 'settings' } }], env: [{ name: 'USER', value: '$(MODE)' }] },
    'fast',
  ],
  [
    'a value of a ConfigMap is read by its key',
    { env: [{ name: 'USER', valueFrom: { configMapKeyRef: { name: 'settings', key: 'MODE' } } }] },
    'fast',
  ],
  ['$$ is one dollar in a value as typed', { env: [{ name: 'USER', value: '$$5' }] }, '$5'],
])('%s', (_title, spec, expected) => {
  expect(env(spec)['USER']).toBe(expected)
})

test('a value of a Secret is taken byte for byte, dollars too', () => {
  expect(
    env({
      env: [
        { name: 'USER', value: 'x' },
        { name: 'P', ...secretKey('db', 'PASSWORD') },
      ],
    })['P'],
  ).toBe('pa$$word$(USER)')
})

test.each([
  ['an optional Secret that is not there', { envFrom: [secretRef('gone', { optional: true })] }],
  [
    'an optional ConfigMap that is not there',
    { envFrom: [{ configMapRef: { name: 'gone', optional: true } }] },
  ],
  [
    'an optional key of a Secret that is not there',
    { env: [{ name: 'A', ...secretKey('gone', 'K', { optional: true }) }] },
  ],
  [
    'an optional key that is not there',
    { env: [{ name: 'A', ...secretKey('db', 'NOPE', { optional: true }) }] },
  ],
])('%s leaves nothing and complains about nothing', (_title, spec) => {
  expect(env(spec)).toEqual({})
})

test.each([
  ['a Secret', { envFrom: [secretRef('gone')] }, 'spec.envFrom[0]', 'Secret gone'],
  ['a ConfigMap', { envFrom: [{ configMapRef: { name: 'gone' } }] }, 'spec.envFrom[0]', 'ConfigMap gone'],
  [
    "a key's Secret",
    { env: [{ name: 'A', ...secretKey('gone', 'K') }] },
    'spec.env[0].valueFrom',
    'Secret gone in',
  ],
  [
    'a key',
    { env: [{ name: 'A', ...secretKey('db', 'NOPE') }] },
    'spec.env[0].valueFrom',
    'Secret db, key NOPE',
  ],
  // Every object of JavaScript has these members; no Secret does.
  [
    'a key named constructor',
    { env: [{ name: 'A', ...secretKey('db', 'constructor') }] },
    'spec.env[0].valueFrom',
    'key constructor',
  ],
  [
    'a key named toString',
    { env: [{ name: 'A', ...secretKey('empty', 'toString') }] },
    'spec.env[0].valueFrom',
    'key toString',
  ],
  [
    'a key of a ConfigMap',
    { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'NOPE' } } }] },
    'spec.env[0].valueFrom',
    'ConfigMap settings, key NOPE',
  ],
])('%s that is missing is named with its field', (_title, spec, path, what) => {
  expect(desiredEnv(anApp(spec), SOURCES).issues).toEqual([
    { severity: 'error', reason: 'NotFound', path, message: expect.stringContaining(what) as string },
  ])
})

test('everything that is missing is told at once', () => {
  const spec = { envFrom: [secretRef('a'), secretRef('b')], env: [{ name: 'X', ...secretKey('c', 'k') }] }
  expect(desiredEnv(anApp(spec), SOURCES).issues.map(({ path }) => path)).toEqual([
    'spec.envFrom[0]',
    'spec.envFrom[1]',
    'spec.env[0].valueFrom',
  ])
})

test('no message holds a value of a Secret', () => {
  const { issues } = desiredEnv(anApp({ env: [{ name: 'A', ...secretKey('db', 'NOPE') }] }), SOURCES)
  expect(JSON.stringify(issues)).not.toContain('pa$$word')
})
