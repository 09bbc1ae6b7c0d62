import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/image/types.ts'
import type { Effects } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { cut, respond, sha256, silent, startHostileRegistry, truncated } from '../support/hostile-registry.ts'
import type { HostileRegistry } from '../support/hostile-registry.ts'
import { jsonBytes } from '../support/layout.ts'
import {
  AMD64,
  app,
  arm,
  failure,
  image,
  layerBytes,
  layerOf,
  mirror,
  multi,
  newSession,
  other,
  read,
  registry,
  resolve,
  serve,
  signal,
  sourceOf,
  time,
  warnings,
} from './world.ts'

describe('resolving a tag', () => {
  test('M1 asks HEAD for the tag with the four types and GET for its digest, and hashes what comes', async () => {
    serve(registry, multi, '1')
    const resolved = await resolve()
    expect(resolved).toMatchObject({
      canonical: app(),
      digest: multi.digest,
      mediaType: multi.index.mediaType,
      manifestDigest: image.digest,
      configDigest: image.configDigest,
      platforms: [
        { platform: AMD64, digest: image.digest },
        { platform: arm.platform, digest: arm.digest },
      ],
      source: { kind: 'registry', host: registry.host, mirror: false },
    })
    expect(registry.log()).toEqual([
      'HEAD manifests/1',
      `GET manifests/${multi.digest}`,
      `GET manifests/${image.digest}`,
      `GET blobs/${image.configDigest}`,
    ])
    const accept = String(registry.requests[0]?.headers['accept'])
    expect(accept.split(', ')).toHaveLength(4)
    expect(registry.requests[0]?.headers['user-agent']).toBe('fairlead/test')
  })

  test('of a digest asks nothing about the tag', async () => {
    serve(registry, image, '1')
    serve(registry, other, '2')
    const resolved = await resolve({}, `:1@${other.digest}`)
    expect(resolved.digest).toBe(other.digest)
    expect(registry.log()[0]).toBe(`GET manifests/${other.digest}`)
  })

  test('of a pin reads exactly that digest', async () => {
    serve(registry, image, '1')
    serve(registry, other)
    const resolved = await sourceOf(app()).resolve(AMD64, signal, other.digest)
    expect(resolved.digest).toBe(other.digest)
  })

  test('M10 that moves in between gives what it was asked for first', async () => {
    serve(registry, image, '1')
    registry.times(1, /^HEAD/, (_request, response) => {
      response.once('finish', () => serve(registry, other, '1'))
      return false
    })
    expect((await resolve()).digest).toBe(image.digest)
  })

  test.each([
    ['is not supported', respond(405)],
    ['is not implemented', respond(501)],
    ['is not found (Nexus)', respond(404)],
    ['is refused', respond(400)],
    ['has no digest', respond(200, { 'content-length': '10' })],
    ['has no length', respond(200, { 'docker-content-digest': other.digest })],
    [
      'has a digest that is none',
      respond(200, { 'content-length': '10', 'docker-content-digest': 'sha256:../../x' }),
    ],
  ])('M9 falls back on GET when HEAD %s', async (_name, behaviour) => {
    serve(registry, image, '1')
    registry.on(/^HEAD/, behaviour)
    expect((await resolve()).digest).toBe(image.digest)
    expect(registry.log().slice(0, 2)).toEqual(['HEAD manifests/1', 'GET manifests/1'])
  })

  test('M9 remembers that a host does not do HEAD', async () => {
    serve(registry, image, '1')
    registry.on(/^HEAD/, respond(405))
    const session = newSession()
    await sourceOf(app(), { session }).resolve(AMD64, signal)
    await sourceOf(app(), { session }).head(signal)
    expect(registry.log().filter((line) => line.startsWith('HEAD'))).toHaveLength(1)
    session.close()
  })

  test('L6 head of a known tag is one request and says the digest', async () => {
    serve(registry, image, '1')
    expect(await sourceOf(app()).head(signal)).toEqual({
      digest: image.digest,
      origin: { kind: 'registry', host: registry.host, mirror: false },
    })
    expect(registry.log()).toEqual(['HEAD manifests/1'])
  })

  test('T8 passes warnings of the registry on, once', async () => {
    serve(registry, image, '1')
    registry.on(/./, (_request, response) => {
      response.setHeader('warning', '299 - "this registry \\u001b ends soon", 199 - "no", 299 - "and so on"')
      return false
    })
    await resolve()
    expect(warnings.map((text) => text.replace(registry.host, 'R'))).toEqual([
      'R: this registry \\u001b ends soon',
      'R: and so on',
    ])
  })
})

describe('answers that lie', () => {
  test.each<[string, (host: HostileRegistry) => void, string]>([
    [
      'other bytes for a digest',
      (host) =>
        host.on(
          /^GET .*sha256/,
          respond(200, { 'content-type': image.manifest.mediaType }, jsonBytes(other.manifest)),
        ),
      'DigestMismatch: manifest sha256:',
    ],
    [
      'a digest header that differs from the body',
      (host) =>
        host.on(
          /^GET .*manifests/,
          respond(
            200,
            { 'content-type': image.manifest.mediaType, 'docker-content-digest': other.digest },
            jsonBytes(image.manifest),
          ),
        ),
      'but its header says',
    ],
    [
      'a Content-Type of an index',
      (host) =>
        host.on(
          /^GET .*manifests/,
          respond(200, { 'content-type': multi.index.mediaType }, jsonBytes(image.manifest)),
        ),
      'InvalidManifest: ',
    ],
    [
      'a login page',
      (host) => host.on(/^GET/, respond(200, { 'content-type': 'text/html' }, '<html>')),
      'DigestMismatch: ',
    ],
    [
      'a schema 1 manifest',
      (host) => {
        host.on(/^HEAD/, respond(405))
        host.on(
          /^GET/,
          respond(
            200,
            { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' },
            '{"schemaVersion":1}',
          ),
        )
      },
      'UnsupportedMediaType: ',
    ],
    [
      'a manifest without end',
      (host) => {
        host.on(/^HEAD/, respond(405))
        host.on(
          /^GET/,
          respond(200, { 'content-type': image.manifest.mediaType }, Buffer.alloc(5 * 1024 * 1024, 0x20)),
        )
      },
      'LimitExceeded: manifest 1 of REGISTRY has more than 4194304 bytes',
    ],
    [
      'a wrong config',
      (host) => host.on(/blobs/, respond(200, {}, Buffer.alloc(image.manifest.config.size, 0x20))),
      'DigestMismatch: blob sha256:',
    ],
    [
      'a config that is longer than it should be',
      (host) => host.on(/blobs/, respond(200, {}, Buffer.alloc(100_000))),
      'more than the',
    ],
    [
      'a config that is shorter than it should be',
      (host) => host.on(/blobs/, respond(200, {}, '{}')),
      'ended after 2 bytes',
    ],
  ])('M6 are found out: %s', async (_name, misbehave, reason) => {
    serve(registry, image, '1')
    misbehave(registry)
    expect(await failure()).toContain(reason)
  })

  test('a HEAD that lies about a registry that has only the tag does no harm', async () => {
    // The digest does not exist, so the tag itself is read and hashed (Quay did this).
    serve(registry, image, '1')
    const ghost = sha256(Buffer.from('ghost'))
    registry.on(/^HEAD/, respond(200, { 'docker-content-digest': ghost, 'content-length': '9' }))
    expect((await resolve()).digest).toBe(image.digest)
  })
})

describe('failures', () => {
  test.each<[string, number, string]>([
    ['metrics of something internal', 200, '# HELP connections\nsecret_total 1\n'],
    ['JSON with a mistake', 200, '{"secret": "value",}'],
    ['text', 403, 'secret'],
    ['JSON of another kind', 500, '{"kind":"Status","message":"secret"}'],
    ['a list that is none', 400, '{"errors":"secret"}'],
    ['errors that are none', 400, '{"errors":["secret",{"detail":"secret"}]}'],
    ['XML', 404, '<Error><Message>secret</Message></Error>'],
  ])('say nothing of a body that is %s', async (_name, status, body) => {
    registry.on(/ \/v2\//, respond(status, { 'content-type': 'text/plain' }, body))
    const found = await failure()
    expect(found).toMatch(/^(?:Registry|Image|Invalid)/)
    expect(found).not.toMatch(/secret|HELP|Unexpected/)
  })

  const problem = (code: string, message: string) => JSON.stringify({ errors: [{ code, message }] })
  test.each<[string, (host: HostileRegistry) => void, string]>([
    [
      'unknown',
      () => undefined,
      'ImageNotFound: REGISTRY/v2/team/app/manifests/1 answered 404 to GET: MANIFEST_UNKNOWN: manifest unknown (it does not exist, or these credentials may not see it)',
    ],
    [
      'forbidden',
      (host) => host.on(/./, respond(403, {}, problem('DENIED', 'no'))),
      'RegistryUnauthorized: REGISTRY/v2/team/app/manifests/1 answered 403 to GET: DENIED: no',
    ],
    [
      'broken',
      (host) => host.on(/./, respond(500, {}, problem('UNKNOWN', 'disk'))),
      'RegistryUnavailable: REGISTRY/v2/team/app/manifests/1 answered 500 to HEAD',
    ],
    [
      'strange',
      (host) => host.on(/./, respond(418, {}, 'teapot')),
      'RegistryInvalid: REGISTRY/v2/team/app/manifests/1 answered 418 to GET',
    ],
    ['cut', (host) => host.on(/./, cut), 'RegistryUnavailable: REGISTRY cannot be reached: '],
    [
      'printing to the terminal',
      (host) => host.on(/./, respond(403, {}, problem('X', '\u001b[31mred'))),
      'X: \\u001b[31mred',
    ],
    [
      'an HTML page',
      (host) => host.on(/./, respond(403, { 'content-type': 'text/html' }, '<html>'.repeat(1000))),
      'answered 403 to GET',
    ],
    ['endless words', (host) => host.on(/./, respond(403, {}, 'w'.repeat(200_000))), 'answered 403 to GET'],
    [
      'a secret in its words',
      (host) => host.on(/./, respond(403, {}, problem('DENIED', 'bad header Bearer abcdefghijklmnop'))),
      'bad header [redacted]',
    ],
  ])('are told (%s)', async (_name, misbehave, text) => {
    misbehave(registry)
    const found = await failure()
    expect(found).toContain(text)
    expect(found.length).toBeLessThan(900)
  })

  test('of a host that does not listen name it', async () => {
    const dead = await startHostileRegistry()
    await dead.stop()
    const found = await failureOf(() => sourceOf(`${dead.host}/x`).resolve(AMD64, signal))
    expect(found).toContain(`RegistryUnavailable: ${dead.host} cannot be reached: `)
  })

  test.each([
    ['no answer', () => registry.on(/./, silent), { headersMs: 50 }, 'did not answer within 50 ms'],
    [
      'a body that stops',
      () =>
        registry.on(/^GET/, (_request, response) => {
          response.writeHead(200)
          return response.write('{') || true
        }),
      { idleMs: 50 },
      'did not send more within 50 ms',
    ],
    ['no end of it', () => registry.on(/./, silent), { overallMs: 50 }, 'did not finish within 50 ms'],
  ])('T6 of time: %s', async (_name, misbehave, timeouts, text) => {
    serve(registry, image, '1')
    misbehave()
    expect(await failure({ timeouts })).toContain(text)
  })

  test('T6 an abort is the caller’s own reason, at once', async () => {
    registry.on(/./, silent)
    const caller = new AbortController()
    const reason = new Error('stop it')
    const pending = sourceOf(app()).resolve(AMD64, caller.signal)
    caller.abort(reason)
    await expect(pending).rejects.toBe(reason)
  })
})

describe('trying again', () => {
  test('T10 passes over hiccups, with growing pauses', async () => {
    serve(registry, image, '1')
    registry.times(1, /^HEAD/, respond(503))
    registry.times(1, /^HEAD/, cut)
    registry.times(1, /^HEAD/, respond(429))
    expect((await resolve()).digest).toBe(image.digest)
    expect(time.waits).toEqual([125, 250, 500])
  })

  test('T10 gives up after the fourth time', async () => {
    registry.on(/./, respond(503))
    await failure()
    expect(registry.requests).toHaveLength(4)
  })

  test('T10 waits as long as it is told, and everyone else too', async () => {
    serve(registry, image, '1')
    registry.times(1, /./, respond(429, { 'retry-after': '7' }))
    const session = newSession()
    await sourceOf(app(), { session }).resolve(AMD64, signal)
    expect(time.waits.reduce((sum, ms) => sum + ms)).toBeGreaterThanOrEqual(7000)
    registry.times(1, /./, respond(429, { 'retry-after': '3600' }))
    expect(await failureOf(() => sourceOf(app(), { session }).head(signal))).toContain(
      'it asks to wait, next try at 1970-01-01T01:16:47Z',
    )
    const before = registry.requests.length
    expect(await failureOf(() => sourceOf(app(), { session }).head(signal))).toContain(
      'asked to be left alone; next try at 1970-01-01T01:16:47Z',
    )
    expect(registry.requests).toHaveLength(before)
    time.clock += 3_600_000
    expect((await sourceOf(app(), { session }).head(signal)).digest).toBe(image.digest)
    session.close()
  })
})

describe('Basic', () => {
  test('A9 is answered with each matching login in turn', async () => {
    serve(registry, image, '1')
    registry.demandBasic({ good: 'pw' })
    const resolved = await resolve({
      users: [
        [`${registry.host}/team`, 'bad:pw'],
        [registry.host, 'good:pw'],
      ],
    })
    expect(resolved.digest).toBe(image.digest)
  })

  test('A5 is remembered: the second request logs in at once', async () => {
    serve(registry, image, '1')
    registry.demandBasic({ good: 'pw' })
    const source = sourceOf(app(), { users: [[registry.host, 'good:pw']] })
    await source.head(signal)
    registry.requests.length = 0
    await source.head(signal)
    expect(registry.requests).toHaveLength(1)
  })

  test('without a login says so', async () => {
    registry.demandBasic({ good: 'pw' })
    expect(await failure()).toContain(
      'RegistryUnauthorized: REGISTRY refuses access to team/app: no credentials are known for it',
    )
  })

  test('without a login says what the sources of logins said, apart from what was tried', async () => {
    registry.demandBasic({ good: 'pw' })
    expect(await failure({ keychainProblem: 'docker-credential-x is not installed' })).toMatch(
      /no credentials are known for it; docker-credential-x is not installed$/,
    )
  })

  test('A10 with wrong logins tells which were tried, and no secret', async () => {
    registry.demandBasic({ good: 'pw' })
    const found = await failure({
      users: [
        [registry.host, 'one:hunter2'],
        [`${registry.host}/team/app`, 'two:hunter3'],
      ],
    })
    expect(found).toMatch(/refuses access to team\/app: tried with two: .*; with one: /)
    expect(found).not.toMatch(/hunter|Basic/)
  })

  test('A9 logins of another registry are not sent', async () => {
    registry.demandBasic({ good: 'pw' })
    await failure({
      users: [
        ['other.example', 'good:pw'],
        [`${registry.host}/else`, 'good:pw'],
      ],
    })
    expect(registry.requests.every(({ authorization }) => authorization === undefined)).toBe(true)
  })

  test('A1 a way to log in that nobody knows is told', async () => {
    registry.on(/./, respond(401, { 'www-authenticate': 'Negotiate' }))
    expect(await failure()).toContain('it names no way to log in that is known')
  })

  test('a registry that never has enough is left after one round', async () => {
    registry.on(/./, respond(401, { 'www-authenticate': 'Basic realm="x"' }))
    await failure({ users: [[registry.host, 'a:b']] })
    expect(registry.requests.length).toBeLessThanOrEqual(4)
  })
})

describe('Bearer', () => {
  test('A2 anonymous tokens are fetched once, for pulling only, and kept', async () => {
    serve(registry, multi, '1')
    registry.demandToken()
    const session = newSession()
    await sourceOf(app(), { session }).resolve(AMD64, signal)
    expect(registry.log()[0]).toBe('HEAD manifests/1')
    expect(registry.requests.filter(({ path }) => path === '/token')).toHaveLength(1)
    const token = registry.requests.find(({ path }) => path === '/token')
    expect([token?.query.get('service'), token?.query.getAll('scope')]).toEqual([
      'hostile',
      ['repository:team/app:pull'],
    ])
    registry.requests.length = 0
    await sourceOf(app(), { session }).head(signal)
    expect(registry.log()).toEqual(['HEAD manifests/1'])
    session.close()
  })

  test('A3 tokens are fetched anew before they expire', async () => {
    serve(registry, image, '1')
    registry.demandToken({ expiresIn: 100 })
    const source = sourceOf(app())
    const tokens = () => registry.requests.filter(({ path }) => path === '/token').length
    await source.head(signal)
    time.clock += 89_000
    await source.head(signal)
    expect(tokens()).toBe(1)
    time.clock += 2_000
    await source.head(signal)
    expect(tokens()).toBe(2)
  })

  test('a token that is no longer taken is replaced once', async () => {
    serve(registry, image, '1')
    registry.demandToken()
    const source = sourceOf(app())
    await source.head(signal)
    registry.times(
      1,
      /^HEAD/,
      respond(401, {
        'www-authenticate': `Bearer realm="${registry.url}/token",service="hostile",scope="repository:team/app:pull"`,
      }),
    )
    expect((await source.head(signal)).digest).toBe(image.digest)
  })

  test('A8 logins go to the token server of the registry, and tokens of one login are not another’s', async () => {
    serve(registry, image, '1')
    registry.demandToken({ users: { good: 'pw' } })
    const session = newSession()
    const good = { session, users: [[registry.host, 'good:pw']] as const }
    expect((await sourceOf(app(), good).head(signal)).digest).toBe(image.digest)
    expect(
      await failureOf(() => sourceOf(app(), { session, users: [[registry.host, 'bad:pw']] }).head(signal)),
    ).toContain('RegistryUnauthorized: ')
    expect(await failureOf(() => sourceOf(app(), { session }).head(signal))).toContain(
      'tried without credentials: ',
    )
    session.close()
  })

  test('A9 all logins are tried, then none', async () => {
    serve(registry, image, '1')
    registry.demandToken()
    registry.on(/\/token$/, (request, response) =>
      request.authorization === undefined ? false : respond(401)(request, response),
    )
    expect(
      (
        await sourceOf(app(), {
          users: [
            [registry.host, 'a:b'],
            [`${registry.host}/team`, 'c:d'],
          ],
        }).head(signal)
      ).digest,
    ).toBe(image.digest)
    expect(registry.requests.filter(({ path }) => path === '/token')).toHaveLength(3)
  })

  test('A4 identity tokens are exchanged by POST', async () => {
    serve(registry, image, '1')
    registry.demandToken({ users: {}, refreshTokens: ['refresh-me'] })
    expect((await sourceOf(app(), { identityToken: 'refresh-me' }).head(signal)).digest).toBe(image.digest)
    const post = registry.requests.find(({ method }) => method === 'POST')
    expect(Object.fromEntries(new URLSearchParams(post?.body))).toEqual({
      grant_type: 'refresh_token',
      client_id: 'fairlead',
      refresh_token: 'refresh-me',
      scope: 'repository:team/app:pull',
      service: 'hostile',
    })
  })

  test('A7 another scope that is asked for is fetched, reduced to pulling', async () => {
    serve(registry, image, '1')
    let asked = 0
    registry.on(/ \/v2\//, (request, response) => {
      if (request.authorization === 'Bearer two') return false
      return respond(401, {
        'www-authenticate': `Bearer realm="${registry.url}/token",scope="repository:real/name:pull,push,delete"`,
      })(request, response)
    })
    registry.on(/\/token$/, respond(200, {}, '{"token":"two"}'))
    registry.times(1, /\/token$/, (request, response) => {
      asked += 1
      return respond(200, {}, '{"token":"one"}')(request, response)
    })
    expect((await sourceOf(app()).head(signal)).digest).toBe(image.digest)
    expect(asked).toBe(1)
    expect(
      registry.requests
        .filter(({ path }) => path === '/token')
        .at(-1)
        ?.query.getAll('scope'),
    ).toEqual(['repository:team/app:pull', 'repository:real/name:pull'])
  })

  test.each<[string, string, string]>([
    ['no URL', 'nonsense', 'which is no URL'],
    ['another scheme', 'ftp://x/token', 'which is not http or https'],
    ['a user name', 'http://user:pw@127.0.0.1/token', 'which holds a user name'],
    ['metadata', 'http://169.254.169.254/token', 'must not send us to'],
    ['no address', 'http://0.0.0.0:1/token', 'must not send us to'],
    ['mapped metadata', 'http://[::ffff:169.254.169.254]/token', 'must not send us to'],
  ])('a token server that is %s is not asked', async (_name, realm, text) => {
    registry.demandToken({}, realm)
    const found = await failure()
    expect(found).toContain('RegistryInvalid: ')
    expect(found).toContain(text)
  })

  test('logins are not sent to a token server elsewhere unless it is trusted', async () => {
    serve(registry, image, '1')
    registry.demandToken({}, `${mirror.url}/token`)
    mirror.demandToken({ users: { good: 'pw' } })
    const users = [[registry.host, 'good:pw']] as const
    const found = await failure({ users })
    expect(found).toContain(
      'REGISTRY asks to send credentials to MIRROR; if that is its token server, name it in trustedRealms',
    )
    expect(mirror.requests.every(({ authorization }) => authorization === undefined)).toBe(true)
    const registries = { [registry.host]: { trustedRealms: [mirror.host] } }
    expect((await resolve({ users, registries })).digest).toBe(image.digest)
  })

  test.each([
    ['an empty answer', respond(200, {}, '{}'), 'is missing or not printable'],
    [
      'a token with a line end',
      respond(200, {}, JSON.stringify({ token: 'a\r\nX-Evil: 1' })),
      'is missing or not printable',
    ],
    ['no JSON', respond(200, {}, 'x'), 'is not valid JSON'],
    ['null', respond(200, {}, 'null'), 'is missing or not printable'],
    ['an endless answer', respond(200, {}, ' '.repeat(70_000)), 'has more than 65536 bytes'],
    ['a redirect', respond(302, { location: 'http://127.0.0.1:1/' }), 'answered 302 to a token request'],
    ['a failure', respond(503), 'answered 503 to a token request'],
  ])('of %s is refused', async (_name, behaviour, text) => {
    registry.demandToken()
    registry.on(/\/token$/, behaviour)
    expect(await failure()).toContain(text)
  })
})

describe('redirects', () => {
  const to = (location: string, status = 307) => respond(status, { location })

  test('T4 are followed, without our login as soon as the host changes', async () => {
    serve(registry, image, '1')
    mirror.blob('store', layerBytes)
    registry.on(/blobs/, to(`${mirror.url}/v2/store/blobs/${layerOf.digest}`))
    // Last, so that it comes first: only who logged in is redirected.
    registry.demandBasic({ good: 'pw' })
    const source = sourceOf(app(), {
      users: [
        [registry.host, 'good:pw'],
        [mirror.host, 'never:sent'],
      ],
    })
    expect(await read(source)).toEqual(layerBytes)
    expect(mirror.requests.map(({ authorization }) => authorization)).toEqual([undefined])
  })

  test('T4 back to the first host do not get the login again', async () => {
    serve(registry, image, '1')
    registry.on(/elsewhere/, respond(200, {}, layerBytes))
    mirror.on(/./, to(`${registry.url}/elsewhere`))
    registry.on(/blobs/, to(`${mirror.url}/hop`))
    // Last, so that it comes first: only who logged in is redirected.
    registry.demandBasic({ good: 'pw' })
    expect(await read(sourceOf(app(), { users: [[registry.host, 'good:pw']] }))).toEqual(layerBytes)
    expect(registry.requests.find(({ path }) => path === '/elsewhere')?.authorization).toBeUndefined()
  })

  test('T4 on one host keep the login', async () => {
    serve(registry, image, '1')
    registry.on(/blobs\/sha256/, to(`/v2/moved`))
    registry.on(/moved/, (request, response) =>
      request.authorization === undefined ? false : respond(200, {}, layerBytes)(request, response),
    )
    // Last, so that it comes first: only who logged in is redirected.
    registry.demandBasic({ good: 'pw' })
    expect(await read(sourceOf(app(), { users: [[registry.host, 'good:pw']] }))).toEqual(layerBytes)
  })

  test.each([
    ['without end', (host: HostileRegistry) => to(`${host.url}/v2/loop`), 'redirects more than 5 times'],
    ['to metadata', () => to('http://169.254.169.254/latest'), 'must not send us to'],
    ['to another scheme', () => to('file:///etc/passwd'), 'redirects to file:'],
    ['with a user name', () => to('http://u:p@127.0.0.1/'), 'with a user name'],
    ['without Location', () => respond(302), 'with the Location ""'],
  ])('T4 %s are refused', async (_name, behaviour, text) => {
    registry.on(/./, behaviour(registry))
    const found = await failure()
    expect(found).toContain('RegistryInvalid: ')
    expect(found).toContain(text)
  })

  test('T5 to a host that wants a password are refused', async () => {
    serve(registry, image, '1')
    mirror.demandBasic({ good: 'pw' })
    registry.on(/^HEAD/, to(`${mirror.url}/v2/x`))
    expect(await failure({ users: [[mirror.host, 'good:pw']] })).toContain('RegistryUnauthorized: ')
    expect(mirror.requests.every(({ authorization }) => authorization === undefined)).toBe(true)
  })
})

describe('blobs', () => {
  test('B2 come in pieces, whole and verified', async () => {
    serve(registry, image, '1')
    expect(await read(sourceOf(app()))).toEqual(layerBytes)
  })

  test('B3 go on where the connection broke', async () => {
    serve(registry, image, '1')
    registry.times(1, /blobs/, truncated(layerBytes, 100_000))
    expect(await read(sourceOf(app()))).toEqual(layerBytes)
    const ranges = registry.requests.map(({ headers }) => headers['range'])
    expect(ranges[0]).toBeUndefined()
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/)
  })

  test('B3 begin again where the host knows no ranges', async () => {
    serve(registry, image, '1')
    registry.on(/blobs/, respond(200, {}, layerBytes))
    registry.times(2, /blobs/, truncated(layerBytes, 100_000))
    expect(await read(sourceOf(app()))).toEqual(layerBytes)
  })

  test.each([
    ['that is missing', respond(404), 'ImageNotFound: '],
    ['that breaks every time', truncated(layerBytes, 0), 'RegistryUnavailable: '],
    [
      'with the wrong part',
      (request: Parameters<typeof cut>[0], response: Parameters<typeof cut>[1]) =>
        request.headers['range'] === undefined
          ? truncated(layerBytes, 1000)(request, response)
          : respond(206, { 'content-range': 'bytes 0-10/11' }, 'x')(request, response),
      'RegistryInvalid: ',
    ],
    [
      'of the same size with other bytes',
      respond(200, {}, Buffer.alloc(layerBytes.length)),
      'DigestMismatch: ',
    ],
    ['that is too long', respond(200, {}, Buffer.concat([layerBytes, Buffer.from('x')])), 'DigestMismatch: '],
  ])('B1 %s are refused', async (_name, behaviour, reason) => {
    registry.on(/blobs/, behaviour)
    expect(await failureOf(() => read(sourceOf(app())))).toContain(reason)
  })

  test('B2 never hand out a last chunk of wrong bytes', async () => {
    registry.on(/blobs/, respond(200, {}, Buffer.alloc(layerBytes.length)))
    let seen = 0
    const reading = async () => {
      for await (const chunk of sourceOf(app()).blob(layerOf, signal)) seen += chunk.length
    }
    await failureOf(reading)
    expect(seen).toBeLessThan(layerBytes.length)
  })

  test('M12 embedded in the descriptor are not asked for', async () => {
    const data = Buffer.from('{}')
    expect(
      await read(sourceOf(app()), { mediaType: 'x', digest: sha256(data) as Digest, size: 2, data }),
    ).toEqual(data)
    expect(registry.requests).toEqual([])
  })
})

describe('mirrors', () => {
  const mirrored = (resolve?: boolean, prefix = '') => ({
    [registry.host]: {
      mirrors: [{ url: `${mirror.url}${prefix}`, ...(resolve === undefined ? {} : { resolve }) }],
    },
  })

  test('X1 may say what a tag is only when they are trusted with it', async () => {
    serve(registry, image, '1')
    serve(mirror, other, '1')
    expect(await resolve({ registries: mirrored() })).toMatchObject({
      digest: image.digest,
      source: { host: registry.host, mirror: false },
    })
    expect(await resolve({ registries: mirrored(true) })).toMatchObject({
      digest: other.digest,
      source: { host: mirror.host, mirror: true },
    })
  })

  test('X6 are asked first for content, under their prefix', async () => {
    serve(registry, image, '1')
    serve(mirror, image, undefined, 'hub/team/app')
    await resolve({ registries: mirrored(false, '/hub') })
    expect(registry.log()).toEqual(['HEAD manifests/1', `GET manifests/${image.digest}`])
    expect(mirror.log()).toEqual([`GET blobs/${image.configDigest}`])
  })

  test.each([
    ['have nothing', () => undefined],
    ['are broken', () => mirror.on(/./, respond(500))],
    ['are cut', () => mirror.on(/./, cut)],
    ['refuse', () => mirror.demandBasic({ x: 'y' })],
    ['lie about bytes', () => mirror.on(/GET/, respond(200, {}, 'lies'))],
    ['are a portal', () => mirror.on(/./, respond(200, { 'content-type': 'text/html' }, '<html>'))],
  ])('X5 that %s are passed over', async (_name, misbehave) => {
    serve(registry, image, '1')
    misbehave()
    expect((await resolve({ registries: mirrored(true) })).digest).toBe(image.digest)
  })

  test('X3 never see the login of the registry', async () => {
    serve(registry, image, '1')
    registry.demandBasic({ good: 'pw' })
    mirror.demandBasic({ mine: 'too' })
    await resolve({
      registries: mirrored(true),
      users: [
        [registry.host, 'good:pw'],
        [mirror.host, 'other:login'],
      ],
    })
    const sent = new Set(mirror.requests.map(({ authorization }) => authorization))
    expect([...sent]).toEqual([undefined, `Basic ${Buffer.from('other:login').toString('base64')}`])
  })

  test('X5 that are of no use are named when the registry fails too', async () => {
    mirror.on(/./, respond(500))
    expect(await failure({ registries: mirrored(true) })).toMatch(
      /^ImageNotFound: REGISTRY.*\(before that, for tag 1: mirror MIRROR: MIRROR.* answered 500/,
    )
  })
})

describe('a tag that a trusted mirror does not have', () => {
  const mirrored = (resolve: boolean) => ({
    [registry.host]: { mirrors: [{ url: mirror.url, resolve }] },
  })

  test('X1 is missing, where the registry itself is out of reach', async () => {
    registry.on(/./, cut)
    expect(await failure({ registries: mirrored(true) })).toMatch(
      /^ImageNotFound: mirror MIRROR: MIRROR\/v2\/team\/app\/manifests\/1 answered 404 .*; nobody else could be asked: REGISTRY cannot be reached: /,
    )
  })

  test("is the registry's to tell, where that answers", async () => {
    registry.demandBasic({ x: 'y' })
    expect(await failure({ registries: mirrored(true) })).toMatch(/^RegistryUnauthorized: REGISTRY/)
  })

  test('says nothing when the mirror is not trusted with tags, or is asked for content', async () => {
    registry.on(/./, cut)
    expect(await failure({ registries: mirrored(false) })).toMatch(/^RegistryUnavailable: /)
    const pinned = sourceOf(`${registry.host}/team/app@${image.digest}`, { registries: mirrored(true) })
    expect(await failureOf(() => pinned.resolve(AMD64, signal))).toMatch(/^RegistryUnavailable: /)
  })
})

test.each([
  ['EAI_AGAIN', 'DNS has no answer for registry.example'],
  ['ENOTFOUND', 'DNS knows no host registry.example'],
])('a look-up that ends with %s is told in plain words', async (code, words) => {
  const lookup: Effects['lookup'] = (hostname, _options, callback) =>
    callback(Object.assign(new Error(`getaddrinfo ${code} ${hostname}`), { code, hostname }), '', 0)
  const source = sourceOf('registry.example/x', { effects: { lookup } })
  expect(await failureOf(() => source.resolve(AMD64, signal))).toBe(
    `RegistryUnavailable: registry.example cannot be reached: ${words}`,
  )
})

describe('plain http and encryption', () => {
  test('T1 a host that is not this machine is asked by https only', async () => {
    const found = await failureOf(() =>
      sourceOf(`registry.example:${registry.host.split(':')[1]}/x`, {
        effects: {
          lookup: (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
        },
      }).resolve(AMD64, signal),
    )
    expect(found).toContain('if it speaks plain http, set plainHttp for it')
    expect(registry.requests).toEqual([])
  })

  test('T1 plain http can be configured', async () => {
    serve(registry, image, '1')
    const host = `registry.example:${registry.host.split(':')[1]}`
    const lookup: Effects['lookup'] = (_host, _options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }])
    const source = sourceOf(`${host}/team/app:1`, {
      effects: { lookup },
      registries: { [host]: { plainHttp: true } },
    })
    expect((await source.resolve(AMD64, signal)).digest).toBe(image.digest)
  })
})
