import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseConfig, readConfig } from '../../../src/engine/local/config.ts'
import { KUBERNETES_BACKOFF } from '../../../src/reconcile/backoff.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import { failureOf } from '../../support/expected-error.ts'
import { temporaryFolder } from './temporary.ts'

const FILE = '/etc/fairlead/config.yaml'
const DEFAULTS = {
  runtime: 'runc',
  registries: {},
  lenientLayouts: false,
  hostHooks: [],
  limits: DEFAULT_LIMITS,
  backoff: KUBERNETES_BACKOFF,
  outdatedCheckMs: 3_600_000,
  goneCheckMs: 21_600_000,
}

async function aFile(text: string): Promise<string> {
  const file = path.join(await temporaryFolder(), 'config.yaml')
  await writeFile(file, text)
  return file
}

test('nothing said means the defaults', () => {
  expect(parseConfig({}, FILE)).toEqual(DEFAULTS)
})

test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
  ['the runtime', { runtime: 'crun' }, { runtime: 'crun' }],
  ['hooks on the host', { hostHooks: ['/usr/bin/hook'] }, { hostHooks: ['/usr/bin/hook'] }],
  ['one limit of many', { limits: { maxEntries: 5 } }, { limits: { ...DEFAULT_LIMITS, maxEntries: 5 } }],
  [
    'a part of the backoff',
    { backoff: { max: '1m' } },
    { backoff: { ...KUBERNETES_BACKOFF, maxMs: 60_000 } },
  ],
  [
    'a whole backoff',
    { backoff: { initial: '200ms', max: '2s', reset: '1h30m' } },
    { backoff: { initialMs: 200, maxMs: 2000, resetMs: 5_400_000 } },
  ],
  ['how often digests are looked for', { goneCheckInterval: '12h' }, { goneCheckMs: 43_200_000 }],
  ['how often tags are looked for', { outdatedCheckInterval: '1m' }, { outdatedCheckMs: 60_000 }],
  ['layouts of other versions', { lenientLayouts: true }, { lenientLayouts: true }],
  [
    'a registry',
    { registries: { 'localhost:5000': { plainHttp: true } } },
    { registries: { 'localhost:5000': { plainHttp: true } } },
  ],
])('%s can be set alone', (_title, config, expected) => {
  expect(parseConfig(config, FILE)).toEqual({ ...DEFAULTS, ...expected })
})

describe('a wrong value is refused and named', () => {
  const LIMIT = 'limits.maxEntries'
  test.each<[string, unknown, string]>([
    ['an unknown key', { runtimes: 'runc' }, 'runtimes'],
    ['a key of every object', { constructor: 1 }, 'constructor'],
    ['another runtime', { runtime: 'docker' }, 'runtime'],
    ['an empty runtime', { runtime: null }, 'runtime'],
    ['a runtime that is a list', { runtime: ['runc'] }, 'runtime'],
    ['hooks that are no list', { hostHooks: '/hook' }, 'hostHooks'],
    ['a relative hook', { hostHooks: ['/a', 'b'] }, 'hostHooks'],
    ['a hook that is a number', { hostHooks: [1] }, 'hostHooks'],
    ['lenience that is a word', { lenientLayouts: 'yes' }, 'lenientLayouts'],
    ['limits that are no object', { limits: 5 }, 'limits'],
    ['limits that are a list', { limits: [] }, 'limits'],
    ['an unknown limit', { limits: { maxEntry: 1 } }, 'limits.maxEntry'],
    ['a limit of every object', { limits: { constructor: 1 } }, 'limits.constructor'],
    ['a limit of zero', { limits: { maxEntries: 0 } }, LIMIT],
    ['a negative limit', { limits: { maxEntries: -1 } }, LIMIT],
    ['a limit that is no number', { limits: { maxEntries: Number.NaN } }, LIMIT],
    ['a limit in quotes', { limits: { maxEntries: '5' } }, LIMIT],
    ['a backoff that is no object', { backoff: '10s' }, 'backoff'],
    ['an unknown part of the backoff', { backoff: { min: '1s' } }, 'backoff.min'],
    ['a duration that is a number', { backoff: { initial: 10 } }, 'backoff.initial'],
    ['a duration without a unit', { backoff: { max: '10' } }, 'backoff.max'],
    ['a duration of zero', { backoff: { reset: '0s' } }, 'backoff.reset'],
    ['an interval of nothing', { goneCheckInterval: '0s' }, 'goneCheckInterval'],
    ['an empty interval', { outdatedCheckInterval: '' }, 'outdatedCheckInterval'],
    [
      'an unknown setting of a registry',
      { registries: { 'example.com': { plainHTTP: true } } },
      'registries["example.com"]',
    ],
    ['registries that are a list', { registries: [] }, 'registries'],
  ])('%s', async (_title, config, key) => {
    const failure = await failureOf(() => parseConfig(config, FILE))
    expect(failure).toMatch(/^InvalidSpec: /)
    expect(failure).toContain(key)
  })

  test.each([[[]], ['text'], [5], [true]])('a file that holds %j', async (config) => {
    expect(await failureOf(() => parseConfig(config, FILE))).toContain(FILE)
  })

  test('control characters of a key do not reach the terminal', async () => {
    expect(await failureOf(() => parseConfig({ '\u001b[31m': 1 }, FILE))).not.toContain('\u001b')
  })
})

describe('a file', () => {
  test.each(['', '---\n', '# only a comment\n', '{}\n'])(
    'with nothing in it means the defaults: %j',
    async (text) => {
      expect(readConfig(await aFile(text))).toEqual(DEFAULTS)
    },
  )

  test('is read as YAML', async () => {
    expect(readConfig(await aFile('runtime: crun\nhostHooks:\n  - /a\n'))).toMatchObject({
      runtime: 'crun',
      hostHooks: ['/a'],
    })
  })

  test.each(['runtime: [', 'a: 1\na: 2\n', '\tx: 1\n'])('that is no YAML is named: %j', async (text) => {
    const file = await aFile(text)
    const failure = await failureOf(() => readConfig(file))
    expect(failure).toMatch(/^InvalidSpec: .*config\.yaml is not valid YAML/)
    expect(failure).not.toContain('\n')
  })

  test('that was asked for and is not there is an error', async () => {
    const file = path.join(await temporaryFolder(), 'none.yaml')
    expect(await failureOf(() => readConfig(file))).toContain(file)
  })

  test('that is a folder is an error', async () => {
    expect(await failureOf(async () => readConfig(await temporaryFolder()))).toContain('EISDIR')
  })
})
