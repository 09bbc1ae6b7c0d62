import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  defaultConfigPaths,
  fileKeychain,
  parseDockerConfig,
  pullSecretKeychain,
} from '../../src/registry/docker-config.ts'
import { combineKeychains, entriesKeychain, matchScore, parseKey } from '../../src/registry/keychain.ts'
import type { Keychain } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'

const signal = new AbortController().signal
const auth = (pair: string) => Buffer.from(pair).toString('base64')
const users = async (keychain: Keychain, registry: string, repository: string) =>
  (await keychain.find(registry, repository, signal)).credentials.map(
    (item) => item.username ?? item.identityToken ?? item.registryToken,
  )

describe('which entries match', () => {
  test.each([
    ['docker.io', 'docker.io', 'library/x', true],
    ['https://index.docker.io/v1/', 'docker.io', 'library/x', true],
    ['index.docker.io', 'docker.io', 'library/x', true],
    ['registry-1.docker.io/v2/', 'docker.io', 'library/x', true],
    ['HTTPS://Registry.Example.com', 'registry.example.com', 'x', true],
    ['registry.example.com', 'registry.example.com:5000', 'x', false],
    ['registry.example.com:5000', 'registry.example.com:5000', 'x', true],
    ['example.com', 'registry.example.com', 'x', false],
    ['registry.example.com', 'registry.example.com.evil', 'x', false],
    ['*.example.com', 'registry.example.com', 'x', true],
    ['*.example.com', 'a.registry.example.com', 'x', false],
    ['*.example.com', 'example.com', 'x', false],
    ['reg*y.example.com', 'registry.example.com', 'x', true],
    ['*.*.com', 'registry.example.com', 'x', true],
    ['*', 'registry.example.com', 'x', false],
    ['*.example.com:5000', 'registry.example.com', 'x', false],
    ['*.example.com:5000', 'registry.example.com:5000', 'x', true],
    ['example.com/team', 'example.com', 'team/app', true],
    ['example.com/team', 'example.com', 'team', true],
    ['example.com/team', 'example.com', 'teammates/app', false],
    ['example.com/team/', 'example.com', 'other/app', false],
    ['localhost:5000', 'localhost:5000', 'x', true],
    ['[::1]:5000', '[::1]:5000', 'x', true],
    ['a*a.com', 'a.com', 'x', false],
  ])('%s for %s/%s: %s', (key, registry, repository, expected) => {
    expect(matchScore(parseKey(key), registry, repository) >= 0).toBe(expected)
  })

  test('all matches come, the longest path first, then exact hosts, then in order', async () => {
    const names = [
      '*.example.com',
      'r.example.com',
      'r.example.com/a',
      'r.example.com/a/b',
      '*.example.com/a/b',
      'other.com',
      'r.example.com',
    ]
    const keychain = entriesKeychain(
      names.map((key, at) => ({ key, credential: { label: key, username: `${at}`, password: '' } })),
    )
    expect(await users(keychain, 'r.example.com', 'a/b/c')).toEqual(['3', '4', '2', '1', '6', '0'])
  })

  test('keychains are asked in order, and the same login is kept once', async () => {
    const one = entriesKeychain([{ key: 'r.io', credential: { label: 'one', username: 'u', password: 'p' } }])
    const two = entriesKeychain([
      { key: 'r.io', credential: { label: 'two', username: 'u', password: 'p' } },
      { key: 'r.io', credential: { label: 'three', username: 'u', password: 'q' } },
    ])
    const { credentials } = await combineKeychains(one, two).find('r.io', 'x', signal)
    expect(credentials.map(({ label }) => label)).toEqual(['one', 'three'])
  })
})

describe('Docker configs', () => {
  test.each([
    ['user and password', { auth: auth('u:p:q') }, { username: 'u', password: 'p:q' }],
    ['separate fields', { username: 'u', password: 'p' }, { username: 'u', password: 'p' }],
    ['NUL padding', { auth: auth('u:p\0\0') }, { username: 'u', password: 'p' }],
    ['an identity token', { auth: auth('u:'), identitytoken: 't' }, { username: 'u', identityToken: 't' }],
    ['a registry token', { registrytoken: 't' }, { registryToken: 't' }],
  ])('hold %s', (_name, entry, credential) => {
    expect(parseDockerConfig({ auths: { 'r.io': entry } }, 'config').entries).toEqual([
      { key: 'r.io', credential: { label: 'r.io of config', ...credential } },
    ])
  })

  test('may have empty entries, which hold nothing', () => {
    expect(parseDockerConfig({ auths: { 'r.io': {} } }, 'config')).toMatchObject({
      entries: [],
      store: undefined,
    })
    expect(parseDockerConfig({}, 'config').entries).toEqual([])
  })

  test.each<[string, unknown]>([
    ['a list', []],
    ['auths as a list', { auths: [] }],
    ['an entry that is text', { auths: { 'r.io': 'c2VjcmV0' } }],
    ['an auth that is no pair', { auths: { 'r.io': { auth: auth('secret') } } }],
    ['an auth that is no base64', { auths: { 'r.io': { auth: 'se:cret' } } }],
    ['a password that is a number', { auths: { 'r.io': { username: 'u', password: 5 } } }],
    ['a helper with a path', { credHelpers: { 'r.io': '../secret' } }],
    ['a store with an option', { credsStore: '-secret' }],
    ['a store for a shell', { credsStore: 'a;secret' }],
  ])('are refused with %s, without telling the secret', async (_name, value) => {
    const failure = await failureOf(() => parseDockerConfig(value, 'config'))
    expect(failure).toMatch(/^PullSecretInvalid: config /)
    expect(failure).not.toMatch(/secret|c2VjcmV0/)
  })

  test.each([
    [{ HOME: '/h' }, ['/h/.docker/config.json']],
    [{ HOME: '/h', DOCKER_CONFIG: '/d' }, ['/d/config.json']],
    [{ HOME: '/h', XDG_RUNTIME_DIR: '/r' }, ['/r/containers/auth.json', '/h/.docker/config.json']],
    [{ HOME: '/h', REGISTRY_AUTH_FILE: '/a.json' }, ['/a.json']],
    [{}, []],
  ])('with %j are looked for in %j', (env, paths) => {
    expect(defaultConfigPaths(env)).toEqual(paths)
  })
})

describe('pull secrets', () => {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const modern = { auths: { 'r.io': { auth: auth('u:p') } }, credHelpers: { 'r.io': 'evil' } }

  test('of both types and several of them are one keychain', async () => {
    const keychain = pullSecretKeychain([
      { name: 'a', type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': json(modern) } },
      {
        name: 'b',
        type: 'kubernetes.io/dockercfg',
        data: { '.dockercfg': json({ 'https://r.io': { username: 'v', password: 'p' } }) },
      },
    ])
    const { credentials } = await keychain.find('r.io', 'x', signal)
    expect(credentials.map(({ username, label }) => [username, label])).toEqual([
      ['u', 'r.io of pull secret a'],
      ['v', 'https://r.io of pull secret b'],
    ])
  })

  test.each([
    ['Opaque', { '.dockerconfigjson': json(modern) }, 'has type Opaque'],
    ['kubernetes.io/dockerconfigjson', { '.dockercfg': json(modern) }, 'has no key .dockerconfigjson'],
    [
      'kubernetes.io/dockerconfigjson',
      { '.dockerconfigjson': Buffer.from('{"auths": secret') },
      'is not valid JSON',
    ],
    ['kubernetes.io/dockercfg', { '.dockercfg': json([]) }, 'auths must be an object'],
  ])('of type %s with the wrong content are refused', async (type, data, problem) => {
    const failure = await failureOf(() => pullSecretKeychain([{ name: 'p', type, data }]))
    expect(failure).toBe(`PullSecretInvalid: pull secret p ${failure.split('pull secret p ')[1] ?? ''}`)
    expect(failure).toContain(problem)
    expect(failure).not.toContain('secret"')
  })
})

describe('credential helpers', () => {
  let folder: string
  const env = () => ({ PATH: `${folder}:${process.env['PATH']}` })
  const helper = async (name: string, script: string) => {
    await writeFile(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`)
    await chmod(join(folder, `docker-credential-${name}`), 0o755)
  }
  const keychainOf = async (config: unknown) => {
    const path = join(folder, 'config.json')
    await writeFile(path, JSON.stringify(config))
    return fileKeychain(path, env())
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fairlead-helpers-'))
    await helper(
      'ok',
      'read server; test "$1" = get && printf \'{"ServerURL":"%s","Username":"%s","Secret":"s"}\' "$server" "$server"',
    )
    await helper('token', 'printf \'{"Username":"<token>","Secret":"t"}\'')
    await helper('none', 'echo "credentials not found in native keychain"; exit 1')
    await helper('fails', 'echo "top secret"; exit 3')
    await helper('junk', 'echo "top secret"')
    await helper('endless', 'exec cat /dev/zero')
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('are asked for the registry that they are for, before the entries', async () => {
    const keychain = await keychainOf({
      credHelpers: { 'r.io': 'ok', 'x.io': 'fails' },
      auths: { 'r.io': { auth: auth('u:p') } },
    })
    expect(await users(keychain, 'r.io', 'x')).toEqual(['r.io', 'u'])
    expect((await keychain.find('r.io', 'x', signal)).problems).toEqual([])
  })

  test.each([
    ['docker.io', 'https://index.docker.io/v1/'],
    ['r.io:5000', 'r.io:5000'],
  ])('as the store are asked for %s as %s', async (registry, server) => {
    expect(await users(await keychainOf({ credsStore: 'ok' }), registry, 'x')).toEqual([server])
  })

  test('may give an identity token', async () => {
    const { credentials } = await (await keychainOf({ credsStore: 'token' })).find('r.io', 'x', signal)
    expect(credentials).toEqual([{ label: 'docker-credential-token', identityToken: 't' }])
  })

  test.each([
    ['none', []],
    ['fails', ['docker-credential-fails failed with exit code 3']],
    ['junk', ['docker-credential-junk answered something that is not a login']],
    ['missing', ['docker-credential-missing is not installed, or not in PATH']],
    ['endless', ['docker-credential-endless could not be run (LimitExceeded)']],
  ])('that give nothing (%s) are no failure', async (name, problems) => {
    const answer = await (await keychainOf({ credsStore: name })).find('r.io', 'x', signal)
    expect(answer.credentials).toEqual([])
    expect(answer.problems.map((problem) => problem.replace(/^.*config\.json: /, ''))).toEqual(problems)
    expect(answer.problems.join()).not.toContain('secret')
  })

  test('of a missing file are none, and of a folder an error', async () => {
    expect(await users(await fileKeychain(join(folder, 'nothing.json'), env()), 'r.io', 'x')).toEqual([])
    expect(await failureOf(() => fileKeychain(folder, env()))).toContain('cannot be read (EISDIR)')
  })
})
