/** How often a registry is asked, and how it is waited for: rule T10 and the budget that all apps share. */
import { describe, expect, test } from 'vitest'
import { BoundedMap } from '../../src/registry/bounded-map.ts'
import { Flights } from '../../src/registry/flights.ts'
import { readQuota } from '../../src/registry/rate-limit.ts'
import { failureOf } from '../support/expected-error.ts'
import { cut, respond, silent, startHostileRegistry } from '../support/hostile-registry.ts'
import { AMD64, app, image, mirror, newSession, registry, serve, signal, sourceOf, time } from './world.ts'

const HOUR = 3_600_000

describe('what is said of a quota', () => {
  const now = 1_800_000_000_000
  test.each<[string, Record<string, string>, unknown]>([
    [
      'Docker Hub',
      { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' },
      [76, 100, 21_600, undefined],
    ],
    [
      'plain numbers',
      { 'ratelimit-limit': '10', 'ratelimit-remaining': '0', 'ratelimit-reset': '30' },
      [0, 10, undefined, 30],
    ],
    [
      'a time since 1970',
      { 'ratelimit-remaining': '1', 'ratelimit-reset': '1800000060' },
      [1, undefined, undefined, 60],
    ],
    [
      'a time that is over',
      { 'ratelimit-remaining': '1', 'ratelimit-reset': '1700000000' },
      [1, undefined, undefined, 0],
    ],
    [
      'several policies',
      { 'ratelimit-limit': '10, 10;w=1, 50;w=60', 'ratelimit-remaining': '9' },
      [9, 10, 1, undefined],
    ],
    [
      'the draft',
      { ratelimit: '"default";r=50;t=30', 'ratelimit-policy': '"default";q=100;w=60' },
      [50, 100, 60, 30],
    ],
    ['the older draft', { ratelimit: 'limit=100, remaining=50, reset=5' }, [50, 100, undefined, 5]],
    ['nothing', {}, undefined],
    ['a limit alone', { 'ratelimit-limit': '100' }, undefined],
    ['words', { 'ratelimit-remaining': 'many' }, undefined],
    ['less than nothing', { 'ratelimit-remaining': '-1' }, undefined],
    ['more than can be counted', { 'ratelimit-remaining': '9'.repeat(40) }, undefined],
  ])('is read (%s)', (_name, headers, expected) => {
    const quota = readQuota(headers, now)
    const found = quota && [quota.remaining, quota.limit, quota.windowSeconds, quota.resetSeconds]
    expect(found).toEqual(expected)
  })
})

describe('a quota that runs out', () => {
  const say = (remaining: number) =>
    registry.on(/./, (_request, response) => {
      response.setHeader('ratelimit-limit', '100;w=21600')
      response.setHeader('ratelimit-remaining', `${remaining};w=21600`)
      return false
    })

  test('T10 keeps its last fifth for pulls: questions in the background wait, for an hour at most', async () => {
    serve(registry, image, '1')
    say(20)
    const session = newSession()
    const source = sourceOf(app(), { session })
    await source.head(signal)
    const sent = registry.requests.length
    expect(await failureOf(() => source.head(signal, { background: true }))).toBe(
      `RegistryUnavailable: ${registry.host} lets 20 of 100 requests through, which are kept for pulls; next try at 1970-01-01T01:16:40Z`,
    )
    expect(await failureOf(() => source.holds(image.digest, signal))).toContain('are kept for pulls')
    expect(registry.requests).toHaveLength(sent)
    expect(session.facts()).toMatchObject([
      { origin: registry.url, remaining: 20, limit: 100, nextTryMs: undefined },
    ])
    expect((await source.resolve(AMD64, signal)).digest).toBe(image.digest)
    time.clock += HOUR + 1
    expect((await source.head(signal, { background: true })).digest).toBe(image.digest)
  })

  test('T10 lets questions in the background pass while more is left', async () => {
    serve(registry, image, '1')
    say(21)
    const source = sourceOf(app())
    await source.head(signal)
    expect((await source.head(signal, { background: true })).digest).toBe(image.digest)
  })

  test('A11 is counted for each login by itself', async () => {
    serve(registry, image, '1')
    registry.demandBasic({ one: 'pw', two: 'pw' })
    registry.on(/./, (request, response) => {
      if (request.authorization?.endsWith(Buffer.from('one:pw').toString('base64')) === true)
        response.setHeader('ratelimit-remaining', '0')
      return false
    })
    const session = newSession()
    const of = (user: string) => sourceOf(app(), { session, users: [[registry.host, `${user}:pw`]] })
    await of('one').head(signal)
    expect(await failureOf(() => of('one').head(signal, { background: true }))).toContain('kept for pulls')
    expect((await of('two').head(signal, { background: true })).digest).toBe(image.digest)
  })
})

describe('a registry that asks for time', () => {
  test('T10 is not asked within it, by nobody who uses the login, and the time is told', async () => {
    serve(registry, image, '1')
    registry.times(1, /./, respond(429, { 'retry-after': '3600' }))
    const session = newSession()
    await failureOf(() => sourceOf(app(), { session }).head(signal))
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        failureOf(() => sourceOf(app(`:${index}`), { session }).resolve(AMD64, signal)),
      ),
    )
    expect(new Set(results)).toEqual(
      new Set([
        `RegistryUnavailable: ${registry.host} asked to be left alone; next try at 1970-01-01T01:16:40Z`,
      ]),
    )
    expect(registry.requests).toHaveLength(1)
    expect(session.facts()).toMatchObject([{ origin: registry.url, nextTryMs: 1_000_000 + HOUR }])
  })

  test('T10 is taken at its word for six hours at most', async () => {
    serve(registry, image, '1')
    registry.times(1, /./, respond(503, { 'retry-after': '999999999' }))
    const session = newSession()
    await failureOf(() => sourceOf(app(), { session }).head(signal))
    time.clock += 6 * HOUR - 60_000
    await failureOf(() => sourceOf(app(), { session }).head(signal))
    expect(registry.requests).toHaveLength(1)
    time.clock += 60_000
    expect((await sourceOf(app(), { session }).head(signal)).digest).toBe(image.digest)
  })

  test('T10 is waited for, where it is a token server', async () => {
    serve(registry, image, '1')
    registry.demandToken()
    registry.times(1, /\/token$/, respond(429, { 'retry-after': '5' }))
    expect((await sourceOf(app()).head(signal)).digest).toBe(image.digest)
    expect(Math.max(...time.waits)).toBe(5000 - (time.waits[0] ?? 0))
  })
})

describe('a host that does not answer', () => {
  const deadSession = async () => {
    registry.on(/./, cut)
    const session = newSession()
    const first = await failureOf(() => sourceOf(app(), { session }).head(signal))
    return { session, first }
  }

  test('T10 is left alone after four failures, and its last failure is told to all', async () => {
    const { session, first } = await deadSession()
    expect(registry.requests).toHaveLength(4)
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        failureOf(() => sourceOf(app(`:${index}`), { session }).head(signal)),
      ),
    )
    expect(new Set(others)).toEqual(new Set([first]))
    expect(registry.requests).toHaveLength(4)
    expect(session.facts()).toMatchObject([
      { origin: registry.url, problem: expect.stringContaining('cannot be reached') as string },
    ])
  })

  test('T10 is tried by one request at a time afterwards', async () => {
    const { session } = await deadSession()
    time.clock += 30_000
    registry.on(/./, silent)
    const caller = new AbortController()
    const trying = sourceOf(app(), { session })
      .head(caller.signal)
      .catch(() => undefined)
    await expect.poll(() => registry.requests.length).toBe(5)
    await failureOf(() => sourceOf(app(':2'), { session }).head(signal))
    expect(registry.requests).toHaveLength(5)
    caller.abort()
    await trying
    registry.on(/./, respond(200, { 'docker-content-digest': image.digest, 'content-length': '9' }))
    // The request that was given up ends a moment later.
    const ask = () => sourceOf(app(), { session }).head(signal)
    await expect.poll(() => ask().then(({ digest }) => digest, String)).toBe(image.digest)
    expect(session.facts()).toEqual([])
  })

  test('T10 does not hold up its mirrors, nor other hosts', async () => {
    const { session } = await deadSession()
    serve(mirror, image, '1')
    expect((await sourceOf(`${mirror.host}/team/app:1`, { session }).head(signal)).digest).toBe(image.digest)
    const registries = { [registry.host]: { mirrors: [{ url: mirror.url, resolve: true }] } }
    expect((await sourceOf(app(), { session, registries }).head(signal)).digest).toBe(image.digest)
  })

  test('T10 is not judged by one repository that fails', async () => {
    serve(registry, image, '1')
    registry.on(/broken/, respond(500))
    const session = newSession()
    await failureOf(() => sourceOf(`${registry.host}/broken:1`, { session }).head(signal))
    expect((await sourceOf(app(), { session }).head(signal)).digest).toBe(image.digest)
  })
})

describe('equal questions', () => {
  test('L6 at one time are one request for the tag and one for each document', async () => {
    serve(registry, image, '1')
    const session = newSession()
    const found = await Promise.all(
      Array.from({ length: 30 }, () => sourceOf(app(), { session }).resolve(AMD64, signal)),
    )
    expect(new Set(found.map(({ digest }) => digest))).toEqual(new Set([image.digest]))
    expect(registry.log()).toEqual([
      'HEAD manifests/1',
      `GET manifests/${image.digest}`,
      `GET blobs/${image.configDigest}`,
    ])
  })

  test('L6 later are one HEAD and no GET, and none where an older answer will do', async () => {
    serve(registry, image, '1')
    const session = newSession()
    await sourceOf(app(), { session }).resolve(AMD64, signal)
    registry.requests.length = 0
    await sourceOf(app(), { session }).resolve(AMD64, signal)
    expect(registry.log()).toEqual(['HEAD manifests/1'])
    time.clock += 999
    await sourceOf(app(), { session }).head(signal, { maxAgeMs: 1000 })
    expect(registry.requests).toHaveLength(1)
    time.clock += 1
    await sourceOf(app(), { session }).head(signal, { maxAgeMs: 1000 })
    expect(registry.requests).toHaveLength(2)
  })

  test('A8 of other logins are asked for themselves', async () => {
    serve(registry, image, '1')
    registry.demandBasic({ one: 'pw', two: 'pw' })
    const session = newSession()
    const of = (user: string) => sourceOf(app(), { session, users: [[registry.host, `${user}:pw`]] })
    await of('one').resolve(AMD64, signal)
    registry.requests.length = 0
    await of('two').resolve(AMD64, signal)
    expect(registry.requests).toHaveLength(3)
    expect(await failureOf(() => of('nobody').resolve(AMD64, signal))).toMatch(/^RegistryUnauthorized: /)
    expect(await failureOf(() => sourceOf(app(), { session }).head(signal, { maxAgeMs: HOUR }))).toMatch(
      /^RegistryUnauthorized: /,
    )
  })

  test('go on for the others when one gives up, and end when all do', async () => {
    const session = newSession()
    const open = await startHostileRegistry()
    let release: () => void = () => undefined
    open.on(/./, async (_request, response) => {
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return respond(200, { 'docker-content-digest': image.digest, 'content-length': '9' })(
        _request,
        response,
      )
    })
    const name = `${open.host}/team/app:1`
    const leaving = new AbortController()
    const gone = sourceOf(name, { session }).head(leaving.signal)
    const staying = sourceOf(name, { session }).head(signal)
    await expect.poll(() => open.requests.length).toBe(1)
    leaving.abort(new Error('enough'))
    await expect(gone).rejects.toThrow('enough')
    release()
    expect((await staying).digest).toBe(image.digest)
    expect(open.requests).toHaveLength(1)
    await open.stop()
  })

  test('fail for all, and are asked anew afterwards', async () => {
    const flights = new Flights(() => 0, 10)
    let asked = 0
    const work = () => Promise.reject(new Error(`no ${(asked += 1)}`))
    const both = [flights.run('x', 1000, signal, work), flights.run('x', 1000, signal, work)]
    for (const one of both) await expect(one).rejects.toThrow('no 1')
    await expect(flights.run('x', 1000, signal, work)).rejects.toThrow('no 2')
  })
})

describe('what is remembered', () => {
  test('is bounded: what was used longest ago goes', () => {
    const map = new BoundedMap<string>(2)
    map.set('a', '1')
    map.set('b', '2')
    expect(map.get('a')).toBe('1')
    map.set('c', '3')
    expect([...map.entries()].map(([key]) => key)).toEqual(['a', 'c'])
    const heavy = new BoundedMap<string>(5, (value) => value.length)
    heavy.set('a', 'xxx')
    heavy.set('b', 'yy')
    heavy.set('b', 'yyy')
    expect(heavy.get('a')).toBeUndefined()
    heavy.set('c', 'too long')
    expect(heavy.size).toBe(0)
  })
})
