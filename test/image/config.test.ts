import { describe, expect, test } from 'vitest'
import { parseImageConfig } from '../../src/image/config.ts'
import { failureOf } from '../support/expected-error.ts'

const DIFF_ID = `sha256:${'b'.repeat(64)}`
const base = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [DIFF_ID] } }
const parse = (value: unknown) => parseImageConfig(Buffer.from(JSON.stringify(value)))
const empty = {
  platform: { os: 'linux', architecture: 'amd64' },
  created: undefined,
  author: undefined,
  user: '',
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: '',
  volumes: [],
  exposedPorts: [],
  labels: {},
  stopSignal: undefined,
  diffIds: [DIFF_ID],
}

describe('image configs', () => {
  test.each([
    ['nothing but the platform', base],
    ['a null config', { ...base, config: null }],
    [
      'null members, as Go writes them',
      { ...base, config: { Env: null, Cmd: null, Volumes: null, Labels: null, User: null } },
    ],
    [
      'members that engines add',
      {
        ...base,
        history: [{ empty_layer: true }],
        docker_version: '1',
        container_config: { Cmd: ['x'] },
        config: { Healthcheck: { Test: ['NONE'] }, OnBuild: [], Image: 'x', ArgsEscaped: true },
      },
    ],
  ])('reads %s', (_name, value) => {
    expect(parse(value)).toEqual(empty)
  })

  test('reads every member', () => {
    const value = {
      ...base,
      created: '2026-01-01T00:00:00Z',
      author: 'me',
      variant: 'v3',
      'os.version': '1',
      config: {
        User: 'app:app',
        Env: ['A=1', 'B='],
        Entrypoint: ['/e'],
        Cmd: ['c', ''],
        WorkingDir: '/w',
        Volumes: { '/b': {}, '[/data,': {}, '/a/': {} },
        ExposedPorts: { '80/tcp': {}, '443': {} },
        Labels: { a: '1', A: '2', constructor: 'x', __proto__x: 'y' },
        StopSignal: 'SIGINT',
      },
    }
    expect(parse(value)).toEqual({
      platform: { os: 'linux', architecture: 'amd64', variant: 'v3', osVersion: '1' },
      created: '2026-01-01T00:00:00Z',
      author: 'me',
      user: 'app:app',
      env: ['A=1', 'B='],
      entrypoint: ['/e'],
      cmd: ['c', ''],
      workingDir: '/w',
      volumes: ['/a/', '/b', '[/data,'],
      exposedPorts: ['443', '80/tcp'],
      labels: { a: '1', A: '2', constructor: 'x', __proto__x: 'y' },
      stopSignal: 'SIGINT',
      diffIds: [DIFF_ID],
    })
  })

  test('keeps a label named __proto__ a label', () => {
    const text = JSON.stringify({ ...base, config: {} }).replace(
      '"config":{}',
      '"config":{"Labels":{"__proto__":"x"}}',
    )
    const { labels } = parseImageConfig(Buffer.from(text))
    expect(Object.entries(labels)).toEqual([['__proto__', 'x']])
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype)
  })

  test.each([
    ['no object', 'x', 'must be an object'],
    ["an artifact's empty config", {}, 'os must be a string that is not empty'],
    ['no architecture', { ...base, architecture: '' }, 'architecture must be a string'],
    [
      'an Entrypoint that is a text',
      { ...base, config: { Entrypoint: '/x' } },
      'config.Entrypoint must be a list',
    ],
    [
      'an Env member that is a number',
      { ...base, config: { Env: ['A=1', 2] } },
      'config.Env[1] must be a string, found number 2',
    ],
    ['an Env member that is null', { ...base, config: { Env: [null] } }, 'config.Env[0]'],
    ['a NUL in an argument', { ...base, config: { Cmd: ['a\0b'] } }, 'config.Cmd[0] must not contain a NUL'],
    [
      'Volumes as a list',
      { ...base, config: { Volumes: ['/data'] } },
      'config.Volumes must be an object, found a list',
    ],
    [
      'a label that is a number',
      { ...base, config: { Labels: { a: 1 } } },
      'config.Labels.a must be a string',
    ],
    ['env in lower case', { ...base, config: { env: ['A=1'] } }, 'must be written Env'],
    ['Config in upper case', { ...base, Config: {} }, 'must be written config'],
    ['no rootfs', { os: 'linux', architecture: 'amd64' }, 'rootfs must be an object, found nothing'],
    ['a rootfs of another type', { ...base, rootfs: { type: 'x' } }, 'rootfs.type must be "layers"'],
    [
      'a diff ID that is none',
      { ...base, rootfs: { type: 'layers', diff_ids: ['sha256:1'] } },
      'rootfs.diff_ids[0] is not a digest',
    ],
  ])('refuses %s', async (_name, value, problem) => {
    const failure = await failureOf(() => parse(value))
    expect(failure).toContain('InvalidConfig: image config')
    expect(failure).toContain(problem)
  })

  test('refuses a config beyond 4 MiB', async () => {
    const value = { ...base, author: 'x'.repeat(4 * 1024 * 1024) }
    expect(await failureOf(() => parse(value))).toContain('LimitExceeded: ')
  })
})
