import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { providerKeychain } from '../../../../src/engine/kubernetes/images/credential-provider.ts'
import { parseCredentialProviders } from '../../../../src/engine/kubernetes/images/credential-provider-config.ts'
import { IssuesError } from '../../../../src/errors.ts'

const signal = new AbortController().signal
const V1 = 'credentialprovider.kubelet.k8s.io/v1'
let folder: string
let nowMs: number

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'fairlead-provider-'))
  nowMs = 1000
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const PROVIDER = {
  name: 'login',
  matchImages: ['*.example.com', 'exact.org/team'],
  defaultCacheDuration: '1h',
  apiVersion: V1,
  args: ['get', '$(id)'],
  env: [{ name: 'REGION', value: 'north; exit 9' }],
}

/** Notes each question in a file, then answers. */
async function plugin(answer: unknown, script = '', name = 'login'): Promise<void> {
  const file = path.join(folder, name)
  const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
  await writeFile(`${file}.answer`, text)
  const words = `{ cat; echo; echo "$@"; env | sort; echo --; } >>"${file}.asked"`
  await writeFile(file, `#!/bin/sh\n${script}\n${words}\ncat "${file}.answer"\n`)
  await chmod(file, 0o755)
}

async function asked(name = 'login'): Promise<readonly string[]> {
  const text = await readFile(path.join(folder, `${name}.asked`), 'utf8').catch(() => '')
  return text.split('--\n').filter((each) => each !== '')
}

function answer(changes: object = {}): object {
  return {
    kind: 'CredentialProviderResponse',
    apiVersion: V1,
    cacheKeyType: 'Registry',
    cacheDuration: '10m0s',
    auth: { '*.example.com': { username: 'u', password: 'hidden-pw' } },
    ...changes,
  }
}

function keychain(providers: readonly object[] = [PROVIDER], timeoutMs?: number) {
  const config = { apiVersion: 'kubelet.config.k8s.io/v1', kind: 'CredentialProviderConfig', providers }
  return providerKeychain({
    providers: parseCredentialProviders(config, folder, 'file'),
    env: { PATH: process.env['PATH'], HOME: '/nowhere', HTTPS_PROXY: 'http://proxy', KUBE_TOKEN: 'ours' },
    now: () => nowMs,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
}

describe('credential providers', () => {
  test('are asked as the kubelet asks them', async () => {
    await plugin(answer())
    const found = await keychain().find('a.example.com', 'team/app', signal)
    expect(found).toEqual({
      credentials: [{ label: 'credential provider login', username: 'u', password: 'hidden-pw' }],
      problems: [],
    })
    const [question = '{}', args, ...env] = ((await asked())[0] ?? '').trim().split('\n')
    expect(JSON.parse(question)).toEqual({
      kind: 'CredentialProviderRequest',
      apiVersion: V1,
      image: 'a.example.com/team/app',
    })
    expect(args).toBe('get $(id)')
    expect(env).toContain('REGION=north; exit 9')
    expect(
      env.filter((line) => !/^(?:PWD|SHLVL|_|OLDPWD)=/.test(line)).map((line) => line.split('=')[0]),
    ).toEqual(['HOME', 'HTTPS_PROXY', 'PATH', 'REGION'])
  })

  test.each([
    ['another registry', 'example.com', 'team/app'],
    ['more labels', 'a.b.example.com', 'team/app'],
    ['another port', 'a.example.com:5000', 'team/app'],
    ['another path', 'exact.org', 'other/app'],
  ])('are left alone for %s', async (_, registry, repository) => {
    await plugin(answer())
    expect(await keychain().find(registry, repository, signal)).toEqual({ credentials: [], problems: [] })
    expect(await asked()).toEqual([])
  })

  test("give only what their answer's own patterns match", async () => {
    await plugin(
      answer({
        auth: {
          'exact.org/team': { username: 't', password: 'p' },
          'z.org': { username: 'z', password: 'p' },
        },
      }),
    )
    const { credentials } = await keychain().find('exact.org', 'team/app', signal)
    expect(credentials.map(({ username }) => username)).toEqual(['t'])
  })

  const app = ['a.example.com', 'team/app'] as const
  const sameRegistry = ['a.example.com', 'team/other'] as const
  const otherRegistry = ['b.example.com', 'team/app'] as const
  test.each<[string, readonly (readonly [string, string])[], number]>([
    ['Image', [app, app], 1],
    ['Image', [app, sameRegistry], 2],
    ['Registry', [app, sameRegistry], 1],
    ['Registry', [app, otherRegistry], 2],
    ['Global', [app, otherRegistry], 1],
  ])('are asked again as cacheKeyType %s says: %j', async (cacheKeyType, questions, times) => {
    await plugin(answer({ cacheKeyType }))
    const chain = keychain()
    for (const [registry, repository] of questions)
      expect((await chain.find(registry, repository, signal)).credentials.length).toBe(1)
    expect((await asked()).length).toBe(times)
  })

  test.each<[string, object, number, number]>([
    ['their own time', {}, 599_000, 1],
    ['longer than their own time', {}, 600_000, 2],
    ['the time of the configuration', { cacheDuration: null }, 3_599_000, 1],
    ['longer than that of the configuration', { cacheDuration: null }, 3_600_000, 2],
    ['no time at all', { cacheDuration: '0s' }, 0, 2],
    ['a time before now', { cacheDuration: '-5m' }, 0, 2],
  ])('are believed for %s', async (_, changes, laterMs, times) => {
    await plugin(answer(changes))
    const chain = keychain()
    await chain.find(...app, signal)
    nowMs += laterMs
    await chain.find(...app, signal)
    expect((await asked()).length).toBe(times)
  })

  test('are asked once by many at the same time', async () => {
    await plugin(answer({ cacheDuration: '0s' }))
    const chain = keychain()
    await Promise.all([1, 2, 3, 4].map(() => chain.find(...app, signal)))
    expect((await asked()).length).toBe(1)
  })

  test.each<[string, unknown, string, RegExp]>([
    ['fails', answer(), 'exit 3', /login: failed with exit code 3$/],
    ['answers no JSON', 'hidden-pw {', '', /not JSON$/],
    ['answers a list', '[]', '', /no CredentialProviderResponse/],
    [
      'answers in another version',
      answer({ apiVersion: 'credentialprovider.kubelet.k8s.io/v2' }),
      '',
      /no CredentialProviderResponse of/,
    ],
    ['names no kind of cache', answer({ cacheKeyType: 'Some' }), '', /cacheKeyType/],
    [
      'answers half a login',
      answer({ auth: { x: { username: 'hidden-pw' } } }),
      '',
      /without username and password/,
    ],
    ['says too much', answer(), 'yes hidden-pw', /could not be run/],
  ])('are a problem of the message when one %s', async (_, said, script, expected) => {
    await plugin(said, script)
    const found = await keychain().find(...app, signal)
    expect(found).toEqual({ credentials: [], problems: [expect.stringMatching(expected)] })
    expect(JSON.stringify(found)).not.toContain('hidden-pw')
  })

  test('are a problem of the message when one takes too long, is missing, or wants a token', async () => {
    await plugin(answer(), 'sleep 600')
    const slow = await keychain([PROVIDER], 200).find(...app, signal)
    expect(slow.problems).toEqual([expect.stringMatching(/could not be run \(TimeoutError\)/)])
    const missing = await keychain([{ ...PROVIDER, name: 'missing' }]).find(...app, signal)
    expect(missing.problems).toEqual([expect.stringMatching(/missing: could not be run \(ENOENT\)/)])
    const token = await keychain([{ ...PROVIDER, tokenAttributes: {} }]).find(...app, signal)
    expect(token.problems).toEqual([expect.stringMatching(/only a kubelet has/)])
  })

  test('give nothing when there is nothing to give', async () => {
    await plugin(answer({ auth: null }))
    expect(await keychain().find(...app, signal)).toEqual({ credentials: [], problems: [] })
  })

  test('stop with whoever asked', async () => {
    await plugin(answer())
    const stopped = AbortSignal.abort(new Error('stopped'))
    await expect(keychain().find(...app, stopped)).rejects.toThrow('stopped')
  })
})

describe('the configuration of credential providers', () => {
  test('is refused with all that is wrong in it', () => {
    const providers = [
      { ...PROVIDER, name: '../sh', matchImages: [], defaultCacheDuration: 'long', apiVersion: 'v9' },
      PROVIDER,
      PROVIDER,
    ]
    const config = { apiVersion: 'v2', kind: 'Other', providers }
    const failure = (() => {
      try {
        return parseCredentialProviders(config, '/bin', 'file')
      } catch (error) {
        return error
      }
    })()
    if (!(failure instanceof IssuesError)) throw failure
    expect(failure.issues.map(({ path: at }) => at)).toEqual([
      'file: apiVersion',
      'file: kind',
      'file: providers[0].name',
      'file: providers[0].matchImages',
      'file: providers[0].defaultCacheDuration',
      'file: providers[0].apiVersion',
      'file: providers',
    ])
  })
})
