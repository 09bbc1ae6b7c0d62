/** What another image would change, in words: the exact ones, because scripts and people read them. */
import { describe, expect, test } from 'vitest'
import { configChanges, diffConfigs } from '../../src/image/config-diff.ts'
import { MOVE_WORDS_MAX_BYTES, moveWords } from '../../src/image/move-words.ts'
import type { ImageConfig, ResolvedImage } from '../../src/image/types.ts'
import { aConfig, anImage, digest } from '../support/builders.ts'

const CONFIG = aConfig({
  env: ['PATH=/bin', 'A=1'],
  entrypoint: ['/entry'],
  cmd: ['run'],
  volumes: ['/data'],
  exposedPorts: ['80/tcp'],
  labels: { vendor: 'x' },
})

describe('two configs', () => {
  test.each<[string, Partial<ImageConfig>, readonly string[]]>([
    ['are equal', {}, []],
    ['are equal when a default is written out', { user: 'root', workingDir: '/', stopSignal: 'SIGTERM' }, []],
    [
      'are equal when created at another time',
      { created: '2026-01-01T00:00:00Z', diffIds: [digest('00')] },
      [],
    ],
    ['are equal when a volume is written otherwise', { volumes: ['data/', '/data'] }, []],
    ['differ by volumes', { volumes: ['/logs'] }, ['adds VOLUME /logs', 'removes VOLUME /data']],
    ['differ by a volume that none can be', { volumes: ['/data', '/proc/x'] }, ['adds VOLUME /proc/x']],
    ['differ by user', { user: '2000' }, ['user root → 2000']],
    [
      'differ by entrypoint and command',
      { entrypoint: [], cmd: ['a', 'b c'] },
      ['entrypoint changed: ["/entry"] → []', 'command changed: ["run"] → ["a","b c"]'],
    ],
    [
      'differ by env',
      { env: ['PATH=/bin:/x', 'B=', 'C'] },
      ['removes env A', 'adds env B=', 'adds env C=', 'env PATH changed: /bin → /bin:/x'],
    ],
    ['compare the last of two definitions', { env: ['A=0', 'PATH=/bin', 'A=1'] }, []],
    [
      'differ by ports and labels',
      { exposedPorts: ['81/udp'], labels: { vendor: 'y', new: '' } },
      ['adds port 81/udp', 'removes port 80/tcp', 'adds label new=', 'label vendor changed: x → y'],
    ],
    [
      'differ by platform, working directory and stop signal',
      {
        workingDir: '/w',
        stopSignal: 'SIGQUIT',
        platform: { os: 'linux', architecture: 'arm', variant: 'v6' },
      },
      ['drops amd64', 'adds arm/v6', 'working directory / → /w', 'stop signal SIGTERM → SIGQUIT'],
    ],
    ['have no control characters in their words', { user: '\u001b[2J' }, ['user root → \\u001b[2J']],
    [
      'tell what matters most first',
      { labels: {}, env: CONFIG.env.slice(1), cmd: [], user: '5', volumes: [] },
      [
        'removes VOLUME /data',
        'user root → 5',
        'command changed: ["run"] → []',
        'removes env PATH',
        'removes label vendor',
      ],
    ],
  ])('%s', (_title, change, expected) => {
    expect(diffConfigs({ config: CONFIG }, { config: { ...CONFIG, ...change } })).toEqual(expected)
  })
})

function onPlatforms(...names: readonly string[]): ResolvedImage['platforms'] {
  return names.map((name) => {
    const [os = '', architecture = '', variant] = name.split('/')
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
    return { platform, digest: digest('aa') }
  })
}

describe('the platforms of two indexes', () => {
  test.each<[readonly string[], readonly string[], readonly string[]]>([
    [['linux/amd64', 'linux/arm64'], ['linux/amd64'], ['drops arm64']],
    [['linux/amd64'], ['linux/amd64', 'linux/arm/v7', 'windows/amd64'], ['adds arm', 'adds windows/amd64']],
    [['linux/arm64'], ['linux/arm64/v8'], []],
    [['linux/arm/v7'], ['linux/arm/v6'], ['drops arm', 'adds arm/v6']],
    [['linux/amd64', 'linux/amd64'], ['linux/amd64'], []],
  ])('%j → %j', (a, b, expected) => {
    const [from, to] = [a, b].map((names) => ({ config: CONFIG, platforms: onPlatforms(...names) }))
    expect(diffConfigs(from ?? { config: CONFIG }, to ?? { config: CONFIG })).toEqual(expected)
  })

  test('an older variant of one index is told', () => {
    const platforms = onPlatforms('linux/amd64', 'linux/arm/v6')
    const armed = { ...CONFIG, platform: { os: 'linux', architecture: 'arm', variant: 'v6' } }
    expect(diffConfigs({ config: CONFIG, platforms }, { config: armed, platforms })).toEqual([
      'platform amd64 → arm/v6',
    ])
  })
})

test('brief words name env and labels, and never show a value', () => {
  const secret = 'hunter2'
  const to = aConfig({
    ...CONFIG,
    env: ['PATH=/x', `T=${secret}`],
    labels: { vendor: secret },
    cmd: [secret],
  })
  expect(configChanges({ config: CONFIG }, { config: to }).map(({ brief }) => brief)).toEqual([
    'command changed',
    'removes env A',
    'env PATH changed',
    'adds env T',
    'label vendor changed',
  ])
})

test('a list of a hundred thousand is compared in one go', () => {
  const many = Array.from({ length: 100_000 }, (_, index) => `${index}/tcp`)
  const changed = { ...CONFIG, exposedPorts: [...many, 'x'] }
  expect(diffConfigs({ config: { ...CONFIG, exposedPorts: many } }, { config: changed })).toEqual([
    'adds port x',
  ])
})

function image(config: Partial<ImageConfig>): ResolvedImage {
  return anImage({ config })
}

describe('the words of a move', () => {
  test.each<[string, Partial<ImageConfig>, Partial<ImageConfig>, string]>([
    [
      'name the changes in order',
      { diffIds: [digest('01')] },
      { volumes: ['/data'], user: '2000', diffIds: [digest('02')] },
      'adds VOLUME /data, user root → 2000',
    ],
    [
      'count layers where the configuration is the same',
      { diffIds: [digest('01'), digest('02')] },
      { diffIds: [digest('01'), digest('03'), digest('04')] },
      'the configuration is the same, 2 of 3 layers are new',
    ],
    [
      'count one layer of several',
      { diffIds: [digest('01'), digest('02')] },
      { diffIds: [digest('01'), digest('03')] },
      'the configuration is the same, 1 of 2 layers is new',
    ],
    [
      'count one layer',
      { diffIds: [digest('01')] },
      { diffIds: [digest('02')] },
      'the configuration is the same, 1 of 1 layer is new',
    ],
    [
      'say that layers went',
      { diffIds: [digest('01'), digest('02')] },
      { diffIds: [digest('01')] },
      'the configuration is the same, no layer is new',
    ],
    [
      'say that nothing differs',
      { diffIds: [digest('01')] },
      { diffIds: [digest('01')] },
      'configuration and layers are the same',
    ],
  ])('%s', (_title, from, to, expected) => {
    expect(moveWords(image(from), image(to))).toBe(expected)
  })

  test('stay short, and say how many there are besides', () => {
    const volumes = Array.from({ length: 500 }, (_, index) => `/${'ü'.repeat(90)}/${index}`)
    const words = moveWords(image({}), image({ volumes, user: '1' }))
    expect(Buffer.byteLength(words)).toBeLessThanOrEqual(MOVE_WORDS_MAX_BYTES)
    const shown = words.split(', ').length
    expect(words).toMatch(new RegExp(` and ${501 - shown} more$`))
  })
})
