/** Who logs in where, with what, and for how long: rules A3, A6, A7, A9, A11, T5, T7, T9. */
import { describe, expect, test } from 'vitest'
import type { Credential } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { respond, startHostileRegistry } from '../support/hostile-registry.ts'
import {
  AMD64,
  app,
  failure,
  image,
  layerBytes,
  layerOf,
  mirror,
  newSession,
  read,
  registry,
  resolve,
  serve,
  signal,
  sourceOf,
  time,
} from './world.ts'

const tokens = () => registry.requests.filter(({ path }) => path === '/token').length
const challenge = (more = '') => `Bearer realm="${registry.url}/token",service="s"${more}`

describe('a token', () => {
  const life = (issuedAt: string | undefined, date: string | undefined) => {
    registry.demandToken()
    registry.on(/\/token$/, (_request, response) => {
      if (date !== undefined) response.setHeader('date', date)
      else response.sendDate = false
      const token = Buffer.from('token for repository:team/app:pull').toString('base64url')
      return respond(
        200,
        {},
        JSON.stringify({ token, expires_in: 300, issued_at: issuedAt }),
      )(_request, response)
    })
  }

  test.each([
    ['was handed out when it was made', '2020-01-01T00:00:00Z', 'Wed, 01 Jan 2020 00:00:00 GMT', 300],
    [
      'is old when it is handed out, whatever our clock says',
      '2020-01-01T00:00:00Z',
      'Wed, 01 Jan 2020 00:04:00 GMT',
      60,
    ],
    ['comes from the future', '2020-01-01T01:00:00Z', 'Wed, 01 Jan 2020 00:00:00 GMT', 300],
    ['comes without a Date', '2020-01-01T00:00:00Z', undefined, 300],
    ['has a time that is none', 'yesterday', 'Wed, 01 Jan 2020 00:00:00 GMT', 300],
    ['has no time', undefined, 'Wed, 01 Jan 2020 00:00:00 GMT', 300],
  ])('A3 that %s', async (_name, issuedAt, date, seconds) => {
    serve(registry, image, '1')
    life(issuedAt, date)
    const source = sourceOf(app())
    await source.head(signal)
    // It is not used in its last tenth.
    time.clock += seconds * 900 - 1000
    await source.head(signal)
    expect(tokens()).toBe(1)
    time.clock += 2000
    await source.head(signal)
    expect(tokens()).toBe(2)
  })

  test('A6 that is ready is sent to the registry, and to no token server', async () => {
    serve(registry, image, '1')
    registry.on(/ \/v2\//, (request, response) =>
      request.authorization === 'Bearer ready-made'
        ? false
        : respond(401, { 'www-authenticate': 'Bearer realm="https://elsewhere.example/token"' })(
            request,
            response,
          ),
    )
    const credentials: Credential[] = [{ label: 'ready', registryToken: 'ready-made' }]
    expect((await sourceOf(app(), { credentials }).head(signal)).digest).toBe(image.digest)
    expect(tokens()).toBe(0)
  })

  test('A7 that grants too little is exchanged once for one with both scopes (403)', async () => {
    serve(registry, image, '1')
    registry.on(/\/token$/, (request, response) =>
      respond(
        200,
        {},
        JSON.stringify({ token: `t${request.query.getAll('scope').length}` }),
      )(request, response),
    )
    registry.on(/ \/v2\//, (request, response) => {
      if (request.authorization === 'Bearer t2') return false
      if (request.authorization === undefined)
        return respond(401, { 'www-authenticate': challenge() })(request, response)
      const more = ',error="insufficient_scope",scope="repository:base/layers:pull,push"'
      return respond(403, { 'www-authenticate': challenge(more) })(request, response)
    })
    expect((await sourceOf(app()).head(signal)).digest).toBe(image.digest)
    expect(registry.requests.findLast(({ path }) => path === '/token')?.query.getAll('scope')).toEqual([
      'repository:team/app:pull',
      'repository:base/layers:pull',
    ])
  })

  test('A7 is not asked for a third time', async () => {
    registry.on(/\/token$/, respond(200, {}, '{"token":"t"}'))
    registry.on(/ \/v2\//, (request, response) => {
      const more =
        request.authorization === undefined ? '' : ',error="insufficient_scope",scope="repository:x:pull"'
      return respond(request.authorization === undefined ? 401 : 403, {
        'www-authenticate': challenge(more),
      })(request, response)
    })
    expect(await failure()).toMatch(/^RegistryUnauthorized: /)
    // HEAD and the GET that asks for its words: two tokens each at most.
    expect(tokens()).toBeLessThanOrEqual(4)
  })
})

describe('several logins', () => {
  /** `blind` may log in and sees nothing. */
  const demand = () => {
    registry.on(/ \/v2\//, (request, response) => {
      const isBlind = request.authorization === `Basic ${Buffer.from('blind:pw').toString('base64')}`
      return isBlind ? respond(404)(request, response) : false
    })
    registry.demandBasic({ good: 'pw', blind: 'pw' })
    // The gate is asked first.
    return {
      users: [
        [`${registry.host}/team/app`, 'blind:pw'],
        [registry.host, 'good:pw'],
      ] as const,
    }
  }

  test('A9 are tried in turn when one is told that there is no such image', async () => {
    serve(registry, image, '1')
    expect((await resolve(demand())).digest).toBe(image.digest)
  })

  test('A9 that all see nothing mean that there is nothing', async () => {
    expect(await failure(demand())).toMatch(
      /^ImageNotFound: .* \(it does not exist, or these credentials may not see it\)$/,
    )
  })

  test('A9 begin with the one that worked last: at rest there is one request', async () => {
    serve(registry, image, '1')
    const session = newSession()
    const setup = { ...demand(), session }
    await sourceOf(app(), setup).head(signal)
    registry.requests.length = 0
    await sourceOf(app(), setup).head(signal)
    expect(registry.log()).toEqual(['HEAD manifests/1'])
  })

  test('A11 of one app say nothing about those of another', async () => {
    serve(registry, image, '1')
    const session = newSession()
    await sourceOf(app(), { ...demand(), session }).resolve(AMD64, signal)
    registry.requests.length = 0
    const others = sourceOf(app(), { session, users: [[registry.host, 'blind:pw']] })
    expect(await failureOf(() => others.resolve(AMD64, signal))).toMatch(/^ImageNotFound: /)
    const good = `Basic ${Buffer.from('good:pw').toString('base64')}`
    expect(registry.requests.some(({ authorization }) => authorization === good)).toBe(false)
  })
})

describe('a host that we are sent to', () => {
  const sent = () => {
    serve(registry, image, '1')
    registry.on(/blobs/, respond(307, { location: `${mirror.url}/v2/store/blobs/${layerOf.digest}` }))
    mirror.blob('store', layerBytes)
    registry.demandBasic({ good: 'pw' })
    return sourceOf(app(), {
      users: [
        [registry.host, 'good:pw'],
        [mirror.host, 'never:sent'],
      ],
    })
  }

  test('T5 and that wants a token gets one of nobody’s, of its own token server', async () => {
    mirror.demandToken()
    expect(await read(sent())).toEqual(layerBytes)
    const asked = mirror.requests.filter(({ path }) => path === '/token')
    expect(asked.map(({ authorization, query }) => [authorization, query.getAll('scope')])).toEqual([
      [undefined, ['repository:store:pull']],
    ])
    const sentLogins = mirror.requests.map(({ authorization }) => authorization ?? '')
    expect(sentLogins.every((login) => !login.startsWith('Basic'))).toBe(true)
    expect(registry.requests.some(({ authorization }) => authorization?.startsWith('Bearer') === true)).toBe(
      false,
    )
  })

  test.each([
    ['a password', 'Basic realm="x"'],
    ['a token that it never takes', 'Bearer realm="TOKEN"'],
    ['a token of metadata', 'Bearer realm="http://169.254.169.254/token"'],
    ['nothing that is known', 'Negotiate'],
  ])('T5 and that wants %s is refused', async (_name, header) => {
    mirror.on(/ \/v2\//, respond(401, { 'www-authenticate': header.replace('TOKEN', `${mirror.url}/token`) }))
    mirror.on(/\/token$/, respond(200, {}, '{"token":"x"}'))
    expect(await failureOf(() => read(sent()))).toMatch(/^Registry(?:Unauthorized|Invalid): /)
    expect(mirror.requests.length).toBeLessThanOrEqual(3)
  })
})

describe('every request', () => {
  test('T9 says who asks', async () => {
    serve(registry, image, '1')
    registry.demandToken({ users: { good: 'pw' }, refreshTokens: ['r'] })
    await resolve({ users: [[registry.host, 'good:pw']] })
    await sourceOf(app(), { identityToken: 'r' }).head(signal)
    expect(new Set(registry.requests.map(({ headers }) => headers['user-agent']))).toEqual(
      new Set(['fairlead/test']),
    )
    expect(registry.requests.map(({ method }) => method)).toContain('POST')
  })

  test('T7 uses few connections, and keeps them', async () => {
    const busy = await startHostileRegistry()
    busy.on(/./, respond(200, { 'docker-content-digest': image.digest, 'content-length': '9' }))
    const session = newSession()
    const ask = (index: number) => sourceOf(`${busy.host}/team/app:${index}`, { session }).head(signal)
    await Promise.all(Array.from({ length: 60 }, (_, index) => ask(index)))
    expect([busy.requests.length, busy.connections()]).toEqual([60, 6])
    session.close()
    await busy.stop()
  })

  test('T7 about content does not hold up questions', async () => {
    serve(registry, image, '1')
    const session = newSession()
    registry.on(/blobs/, (_request, response) => {
      response.writeHead(200, { 'content-length': '1000000000' })
      return response.write('x') || true
    })
    const reading = new AbortController()
    const blobs = Array.from({ length: 12 }, async () => {
      const source = sourceOf(app(), { session })
      for await (const _chunk of source.blob(layerOf, reading.signal)) reading.signal.throwIfAborted()
    })
    await expect.poll(() => registry.requests.length).toBe(4)
    expect((await sourceOf(app(), { session }).head(signal)).digest).toBe(image.digest)
    reading.abort()
    await Promise.allSettled(blobs)
    session.close()
  })
})
