import { describe, expect, test } from 'vitest'
import { endpointsFor } from '../../src/registry/mirrors.ts'
import { proxyFor } from '../../src/registry/proxy.ts'
import { parseRegistriesConfig } from '../../src/registry/registries-config.ts'
import { backoffMs, isTransientStatus, retryAfterMs } from '../../src/registry/retry.ts'
import { failureOf } from '../support/expected-error.ts'

describe('the registries configuration', () => {
  test('is read, with hosts as references write them', () => {
    expect(
      parseRegistriesConfig({
        'index.docker.io': {
          mirrors: [{ url: 'https://m.example:8443/hub', resolve: true }, { url: 'http://127.0.0.1:5000' }],
        },
        'Registry.Example.com:5000': {
          plainHttp: true,
          insecureSkipVerify: false,
          trustedRealms: ['auth.example.com'],
        },
        '[::1]:5000': { caFile: '/etc/ca.pem' },
      }),
    ).toEqual({
      'docker.io': {
        mirrors: [{ url: 'https://m.example:8443/hub', resolve: true }, { url: 'http://127.0.0.1:5000' }],
      },
      'registry.example.com:5000': {
        plainHttp: true,
        insecureSkipVerify: false,
        trustedRealms: ['auth.example.com'],
      },
      '[::1]:5000': { caFile: '/etc/ca.pem' },
    })
  })

  test.each<[unknown, string]>([
    ['x', 'registries: must be an object'],
    [{ 'r.io/path': {} }, 'is not a registry host'],
    [{ 'https://r.io': {} }, 'is not a registry host'],
    [{ name: {} }, 'is not a registry host'],
    [{ 'docker.io': {}, 'index.docker.io': {} }, 'is a second entry for docker.io'],
    [{ 'r.io': [] }, ']: must be an object'],
    [{ 'r.io': { insecure: true } }, 'has the unknown field "insecure"; known are mirrors'],
    [{ 'r.io': { plainHttp: 'yes' } }, 'plainHttp: must be true or false'],
    [{ 'r.io': { caFile: 'ca.pem' } }, 'caFile: must be the absolute path'],
    [{ 'r.io': { mirrors: {} } }, 'mirrors: must be a list'],
    [{ 'r.io': { clientKeyFile: 'key.pem' } }, 'clientKeyFile: must be the absolute path'],
    [{ 'r.io': { clientCertFile: '/c.pem' } }, 'must have both clientCertFile and clientKeyFile'],
    [
      { 'r.io': { mirrors: [{ url: 'https://m.example', namespace: 1 }] } },
      'namespace: must be true or false',
    ],
    [{ 'r.io': { mirrors: [{ url: 'm.example' }] } }, 'mirrors[0].url: must be an http or https URL'],
    [{ 'r.io': { mirrors: [{ url: 'https://u:p@m.example' }] } }, 'mirrors[0].url: must be'],
    [{ 'r.io': { mirrors: [{ url: 'ftp://m.example' }] } }, 'mirrors[0].url: must be'],
    [{ 'r.io': { mirrors: [{ url: 'https://m.example?x' }] } }, 'mirrors[0].url: must be'],
    [{ 'r.io': { mirrors: [{}] } }, 'mirrors[0].url: must be'],
    [{ 'r.io': { trustedRealms: ['https://x'] } }, 'trustedRealms: must be a list of hosts'],
  ])('%j is refused', async (value, problem) => {
    const failure = await failureOf(() => parseRegistriesConfig(value))
    expect(failure).toMatch(/^InvalidSpec: registries/)
    expect(failure).toContain(problem)
  })

  test('tells all problems at once', () => {
    expect(() => parseRegistriesConfig({ 'r.io': { plainHttp: 1, caFile: 2, x: 3 } })).toThrow(
      expect.objectContaining({
        issues: [expect.anything(), expect.anything(), expect.anything()] as unknown,
      }) as Error,
    )
  })
})

describe('whom to ask', () => {
  const config = parseRegistriesConfig({
    'docker.io': {
      mirrors: [{ url: 'https://trusted.example', resolve: true }, { url: 'https://cache.example/v2/hub/' }],
    },
    'cache.example': { caFile: '/ca.pem' },
    'plain.example': { plainHttp: true },
    'localhost:5001': { plainHttp: false },
    'localhost:5002': { caFile: '/ca.pem' },
  })
  const bases = (registry: string, purpose: 'resolve' | 'pull') =>
    endpointsFor(registry, 'a/b', purpose, config).map(({ base }) => base.href)

  test.each([
    ['docker.io', 'resolve', ['https://trusted.example/v2/a/b/', 'https://registry-1.docker.io/v2/a/b/']],
    [
      'docker.io',
      'pull',
      [
        'https://trusted.example/v2/a/b/',
        'https://cache.example/v2/hub/a/b/',
        'https://registry-1.docker.io/v2/a/b/',
      ],
    ],
    ['r.example.com', 'pull', ['https://r.example.com/v2/a/b/']],
    ['r.example.com:80', 'pull', ['https://r.example.com:80/v2/a/b/']],
    ['plain.example', 'pull', ['http://plain.example/v2/a/b/']],
    ['localhost', 'pull', ['http://localhost/v2/a/b/']],
    ['localhost:5000', 'pull', ['http://localhost:5000/v2/a/b/']],
    ['localhost:5001', 'pull', ['https://localhost:5001/v2/a/b/']],
    ['localhost:5002', 'pull', ['https://localhost:5002/v2/a/b/']],
    ['127.0.0.1:5000', 'pull', ['http://127.0.0.1:5000/v2/a/b/']],
    ['[::1]:5000', 'pull', ['http://[::1]:5000/v2/a/b/']],
    ['localhost:443', 'pull', ['https://localhost/v2/a/b/']],
  ] as const)('T1 for %s to %s: %j', (registry, purpose, expected) => {
    expect(bases(registry, purpose)).toEqual(expected)
  })

  test('R4 Docker Hub is asked at registry-1.docker.io, and named docker.io', () => {
    const [hub] = endpointsFor('docker.io', 'library/nginx', 'pull', {})
    expect(hub).toMatchObject({ host: 'docker.io', credentialHost: 'docker.io' })
    expect(hub?.base.href).toBe('https://registry-1.docker.io/v2/library/nginx/')
  })

  test('a mirror has its own trust and its own name for credentials', () => {
    const [, cache] = endpointsFor('docker.io', 'a/b', 'pull', config)
    expect(cache).toMatchObject({
      isMirror: true,
      host: 'cache.example',
      credentialHost: 'cache.example',
      repository: 'hub/a/b',
      trust: { caFile: '/ca.pem' },
    })
  })
})

describe('proxies', () => {
  const env = {
    HTTPS_PROXY: 'http://proxy.example:3128',
    NO_PROXY: 'internal.example,.corp, 10.0.0.0/8,*.wild.example,port.example:5000,fd00::/8',
  }
  test.each([
    ['https://registry.example/', 'http://proxy.example:3128/'],
    ['http://registry.example/', undefined],
    ['https://internal.example/', undefined],
    ['https://a.internal.example/', undefined],
    ['https://notinternal.example/', 'http://proxy.example:3128/'],
    ['https://a.corp/', undefined],
    ['https://a.wild.example/', undefined],
    ['https://10.1.2.3/', undefined],
    ['https://11.1.2.3/', 'http://proxy.example:3128/'],
    ['https://[fd00::1]/', undefined],
    ['https://port.example:5000/', undefined],
    ['https://port.example/', 'http://proxy.example:3128/'],
    ['https://localhost/', undefined],
    ['https://[fe00::1]/', 'http://proxy.example:3128/'],
    ['https://10.1.2.3.example/', 'http://proxy.example:3128/'],
  ])('T3 for %s it is %s', (url, expected) => {
    expect(proxyFor(new URL(url), env)?.href).toBe(expected)
  })

  test.each([
    [{ https_proxy: 'proxy:1' }, 'http://proxy:1/'],
    [{ https_proxy: '', HTTPS_PROXY: 'http://x' }, undefined],
    [{ HTTPS_PROXY: 'http://x', NO_PROXY: '*' }, undefined],
    [{ HTTPS_PROXY: 'http://x', NO_PROXY: 'a.example r.example' }, undefined],
    [{ HTTPS_PROXY: 'http://x', no_proxy: 'R.EXAMPLE:443' }, undefined],
    [{ HTTPS_PROXY: 'http://x', no_proxy: 'r.example:80' }, 'http://x/'],
    [{ HTTPS_PROXY: 'http://x', NO_PROXY: ' , ,' }, 'http://x/'],
    [{}, undefined],
  ])('T3 of %j it is %s', (variables, expected) => {
    expect(proxyFor(new URL('https://r.example/'), variables)?.href).toBe(expected)
  })

  test('is refused when it is no http URL, without telling its password', async () => {
    const failure = await failureOf(() =>
      proxyFor(new URL('https://r.example/'), { HTTPS_PROXY: 'socks5://u:secret@x' }),
    )
    expect(failure).toBe('InvalidSpec: HTTPS_PROXY must be http://HOST:PORT')
  })
})

describe('trying again', () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0)
  test.each([
    ['5', 5000],
    ['0', 0],
    [' 7 ', 7000],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['99999999999', undefined],
    ['2026', 2_026_000],
    ['', undefined],
    [undefined, undefined],
  ])('T10 Retry-After %j is %s ms', (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected)
  })

  test.each([
    [200, false],
    [400, false],
    [401, false],
    [404, false],
    [408, true],
    [429, true],
    [499, true],
    [500, true],
    [501, false],
    [503, true],
    [522, true],
  ])('T10 %s may pass: %s', (status, expected) => {
    expect(isTransientStatus(status)).toBe(expected)
  })

  test('waits longer each time, at random, up to a limit', () => {
    expect([1, 2, 3, 20].map((tries) => backoffMs(tries, () => 0.999_999))).toEqual([249, 499, 999, 4999])
    expect(backoffMs(5, () => 0)).toBe(0)
  })
})
