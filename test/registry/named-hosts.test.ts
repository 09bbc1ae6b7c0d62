/** What may be told of registries as metrics: hosts that somebody names, bounded, without logins. */
import { expect, test } from 'vitest'
import { ControllerMetrics } from '../../src/controller/metrics.ts'
import { endpointsFor } from '../../src/registry/mirrors.ts'
import { failureOf } from '../support/expected-error.ts'
import { respond } from '../support/hostile-registry.ts'
import { app, image, mirror, newSession, registry, serve, signal, sourceOf, time } from './world.ts'

const HOUR = 3_600_000

/** The lines of /metrics about registries, without comments. */
function linesOf(session: ReturnType<typeof newSession>): readonly string[] {
  const text = new ControllerMetrics({ controller: 'c', registries: () => session.readings() }).text()
  const lines = text.split('\n').filter((line) => line.startsWith('fairlead_registry_'))
  return lines.map((line) => line.replaceAll(registry.host, 'REGISTRY').replaceAll(mirror.host, 'MIRROR'))
}

test('a registry’s quota, pauses and silence are told, by the name that references have for it', async () => {
  serve(registry, image, '1')
  registry.demandBasic({ somebody: 'hunter2' })
  registry.on(/./, (_request, response) => {
    response.setHeader('ratelimit-limit', '100;w=21600')
    response.setHeader('ratelimit-remaining', '20;w=21600')
    return false
  })
  const session = newSession()
  const users = [[registry.host, 'somebody:hunter2']] as const
  await sourceOf(app(), { session, users }).head(signal)
  mirror.times(1, /./, respond(429, { 'retry-after': '3600' }))
  await failureOf(() => sourceOf(`${mirror.host}/team/app:1`, { session }).head(signal))
  const expected = [
    'fairlead_registry_quota_remaining{host="REGISTRY"} 20',
    'fairlead_registry_quota_limit{host="REGISTRY"} 100',
    'fairlead_registry_pause_seconds{host="REGISTRY"} 0',
    'fairlead_registry_pause_seconds{host="MIRROR"} 3600',
    'fairlead_registry_background_pause_seconds{host="REGISTRY"} 3600',
    'fairlead_registry_background_pause_seconds{host="MIRROR"} 3600',
    'fairlead_registry_resting{host="REGISTRY"} 0',
    'fairlead_registry_resting{host="MIRROR"} 0',
  ]
  expect(linesOf(session).toSorted()).toEqual(expected.toSorted())
  registry.on(/./, respond(503))
  await failureOf(() => sourceOf(app(), { session, users }).head(signal))
  expect(linesOf(session)).toContain('fairlead_registry_resting{host="REGISTRY"} 1')
})

test('hosts that a registry makes up are not told', async () => {
  registry.on(/./, respond(401, { 'www-authenticate': `Bearer realm="${mirror.url}/token"` }))
  mirror.on(/./, respond(200, { 'ratelimit-remaining': '7' }, '{"token":"t"}'))
  const session = newSession()
  await failureOf(() => sourceOf(app(), { session }).head(signal))
  expect(session.facts().map(({ origin }) => origin)).toContain(mirror.url)
  expect(session.readings().map(({ host }) => host)).toEqual([registry.host])
})

test('only the last hundred hosts of a day are told', () => {
  const session = newSession()
  for (let n = 0; n < 101; n++)
    for (const endpoint of endpointsFor(`${n}.example`, 'team/app', 'pull', {})) session.named.note(endpoint)
  const hosts = session.readings().map(({ host }) => host)
  expect(hosts).toHaveLength(100)
  expect(hosts).not.toContain('0.example')
  time.clock += 24 * HOUR
  expect(session.readings()).toEqual([])
})
