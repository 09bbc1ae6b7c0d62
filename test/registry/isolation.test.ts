/**
 * What one registry, repository or login does must not become another's trouble: an attacker names a host of his own, or a
 * repository of his own at a host that others use, and tries to have the others refused, or their quota used up.
 */
import { describe, expect, test } from 'vitest'
import { failureOf } from '../support/expected-error.ts'
import { cut, respond } from '../support/hostile-registry.ts'
import type { Setup } from './world.ts'
import { AMD64, app, image, mirror, newSession, registry, serve, signal, sourceOf, time } from './world.ts'

const HOUR = 3_600_000

/** In these tests the victim's registry is `registry`, and `mirror` is the attacker's. */
const ofVictim = (setup: Setup) => sourceOf(app(), setup)
const ofAttacker = (setup: Setup, repository = 'evil/x') => sourceOf(`${mirror.host}/${repository}:1`, setup)

describe('T10 a host that fails where an attacker wants it to', () => {
  test.each<[string, () => void]>([
    ['by redirect', () => mirror.on(/manifests/, respond(307, { location: `${registry.url}/slow/path` }))],
    [
      'by a token realm',
      () =>
        mirror.on(
          /manifests/,
          respond(401, { 'www-authenticate': `Bearer realm="${registry.url}/slow/token",service="x"` }),
        ),
    ],
  ])('is left alone by those who were sent there alone (%s)', async (_way, attack) => {
    serve(registry, image, '1')
    registry.on(/slow/, respond(503))
    attack()
    const session = newSession()
    for (let round = 0; round < 3; round++) await failureOf(() => ofAttacker({ session }).head(signal))
    expect(registry.requests.length).toBeGreaterThanOrEqual(4)
    const reached = registry.requests.length
    await failureOf(() => ofAttacker({ session }).head(signal))
    expect(registry.requests).toHaveLength(reached)
    expect((await ofVictim({ session }).head(signal)).digest).toBe(image.digest)
    expect(session.facts().filter(({ origin }) => origin === registry.url)).toEqual([])
  })

  test.each<[string, Parameters<typeof registry.on>[1]]>([
    ['a proxy that does not reach what a repository stands for', respond(502)],
    ['connections that end without an answer', cut],
  ])('is left alone for that repository (%s)', async (_why, behaviour) => {
    serve(registry, image, '1')
    registry.on(/evil/, behaviour)
    const session = newSession()
    const evil = (name: string) => sourceOf(`${registry.host}/evil/${name}:1`, { session }).head(signal)
    for (const name of ['a', 'b', 'c', 'd', 'e']) await failureOf(() => evil(name))
    const reached = registry.requests.length
    await failureOf(() => evil('a'))
    expect(registry.requests).toHaveLength(reached)
    expect((await ofVictim({ session }).head(signal)).digest).toBe(image.digest)
  })

  test('costs one request for each further repository, once several have failed', async () => {
    registry.on(/./, respond(502))
    const session = newSession()
    const asked = async (name: string) => {
      const before = registry.requests.length
      await failureOf(() => sourceOf(`${registry.host}/${name}:1`, { session }).head(signal))
      return registry.requests.length - before
    }
    const counts = []
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'e']) counts.push(await asked(name))
    expect(counts).toEqual([4, 4, 4, 4, 1, 1, 0])
  })

  test('is left alone by all when it cannot be reached at all', async () => {
    const session = newSession()
    const gone = '127.0.0.1:1'
    await failureOf(() => sourceOf(`${gone}/a:1`, { session }).head(signal))
    const waited = time.waits.length
    expect(waited).toBe(3)
    await failureOf(() => sourceOf(`${gone}/b:1`, { session }).head(signal))
    expect(time.waits).toHaveLength(waited)
  })
})

describe('T10 a pause or a quota', () => {
  const pauseNobody = () => registry.on(/public/, respond(429, { 'retry-after': '3600' }))

  test('is kept when another host sends us there', async () => {
    pauseNobody()
    const session = newSession()
    await failureOf(() => sourceOf(`${registry.host}/public:1`, { session }).head(signal))
    const asked = registry.requests.length
    mirror.on(/manifests/, respond(307, { location: `${registry.url}/v2/any/manifests/1` }))
    expect(await failureOf(() => ofAttacker({ session }).head(signal))).toMatch(
      new RegExp(`^RegistryUnavailable: .*${registry.host} asked to be left alone; next try at`),
    )
    expect(registry.requests).toHaveLength(asked)
    expect(mirror.requests).toHaveLength(1)
  })

  test('has its last fifth kept for those who name the host', async () => {
    serve(registry, image, '1')
    registry.on(/./, (_request, response) => {
      response.setHeader('ratelimit-limit', '100;w=21600')
      response.setHeader('ratelimit-remaining', '20;w=21600')
      return false
    })
    const session = newSession()
    await ofVictim({ session }).head(signal)
    const asked = registry.requests.length
    const ways = [
      respond(307, { location: `${registry.url}/v2/team/app/manifests/1` }),
      respond(401, { 'www-authenticate': `Bearer realm="${registry.url}/v2/team/app/manifests/1"` }),
    ]
    for (const way of ways) {
      mirror.on(/manifests/, way)
      expect(await failureOf(() => ofAttacker({ session }).resolve(AMD64, signal))).toContain(
        'kept for pulls',
      )
    }
    expect(registry.requests).toHaveLength(asked)
    expect((await ofVictim({ session }).resolve(AMD64, signal)).digest).toBe(image.digest)
  })

  test('of those without a login does not keep a login from logging in', async () => {
    serve(registry, image, '1')
    registry.demandBasic({ one: 'pw' })
    pauseNobody()
    const session = newSession()
    await failureOf(() => sourceOf(`${registry.host}/public:1`, { session }).head(signal))
    expect(session.facts()).toMatchObject([{ nextTryMs: time.clock + HOUR }])
    const users = [[registry.host, 'one:pw']] as const
    expect((await ofVictim({ session, users }).head(signal)).digest).toBe(image.digest)
  })

  test('is not used up by a repository whose tag appears while it is asked for (rule M9)', async () => {
    serve(registry, image, '1')
    serve(registry, image, '1', 'evil/x')
    registry.on(/^HEAD .*evil/, respond(404))
    const session = newSession()
    const evil = () => sourceOf(`${registry.host}/evil/x:1`, { session }).head(signal)
    await evil()
    await ofVictim({ session }).head(signal)
    expect(registry.log().slice(-1)).toEqual(['HEAD manifests/1'])
    registry.requests.length = 0
    await evil()
    expect(registry.log()).toEqual(['GET manifests/1'])
  })
})
