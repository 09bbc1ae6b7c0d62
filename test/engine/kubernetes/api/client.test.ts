import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openKubeClient, type ClusterClient } from '../../../../src/engine/kubernetes/api/client.ts'
import type { KubeObject } from '../../../../src/reconcile/kubernetes/types.ts'
import { startFakeApiServer, type FakeApiServer } from '../../../support/fake-api-server.ts'
import {
  answer,
  edit,
  hang,
  lostAnswer,
  reset,
  startFaultProxy,
  type Fault,
  type FaultProxy,
} from '../../../support/fault-proxy.ts'
import { CONFIG_MAPS, plainConnection } from './informer-faults.ts'

const BY = { fieldManager: 'me' }

function configMap(name: string, value = '0'): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'x' }, data: { value } }
}

let server: FakeApiServer
let proxy: FaultProxy
let client: ClusterClient
let waits: number[]

beforeEach(async () => {
  server = await startFakeApiServer()
  proxy = await startFaultProxy({ url: server.url })
  waits = []
  client = openKubeClient(plainConnection(proxy.url), {
    wait: (ms) => Promise.resolve(waits.push(ms)),
    random: () => 0.5,
    answerMs: 300,
    idleMs: 300,
  })
})
afterEach(async () => {
  client.close()
  await proxy.close()
  await server.close()
})

describe('the client', () => {
  test('writes, reads and deletes', async () => {
    await client.create(CONFIG_MAPS, configMap('a'), BY)
    await client.apply(CONFIG_MAPS, configMap('b'), { ...BY, force: true })
    const changed = await client.mergePatch(CONFIG_MAPS, 'x', 'a', { data: { value: '1' } }, BY)
    await client.replace(CONFIG_MAPS, { ...changed, data: { value: '2' } }, BY)
    expect((await client.get(CONFIG_MAPS, 'x', 'a'))?.['data']).toEqual({ value: '2' })
    expect((await client.list(CONFIG_MAPS, { namespace: 'x' })).map(({ metadata }) => metadata.name)).toEqual(
      ['a', 'b'],
    )
    await client.delete(CONFIG_MAPS, 'x', 'a')
    await client.delete(CONFIG_MAPS, 'x', 'a')
    expect(await client.get(CONFIG_MAPS, 'x', 'a')).toBeUndefined()
    await client.create(CONFIG_MAPS, configMap('c'), { ...BY, dryRun: true })
    expect(await client.get(CONFIG_MAPS, 'x', 'c')).toBeUndefined()
  })

  test('says who writes, and wants misspelt fields refused', async () => {
    await client.create(CONFIG_MAPS, configMap('a'), BY)
    await client.apply(CONFIG_MAPS, configMap('a'), { ...BY, force: true, subresource: 'status' })
    await client.mergePatch(CONFIG_MAPS, 'x', 'a', {}, { ...BY, dryRun: true })
    const root = '/api/v1/namespaces/x/configmaps'
    expect(server.requests).toEqual([
      `POST ${root}?fieldManager=me&fieldValidation=Strict`,
      `PATCH ${root}/a/status?fieldManager=me&fieldValidation=Strict&force=true`,
      `PATCH ${root}/a?fieldManager=me&fieldValidation=Strict&dryRun=All`,
    ])
  })

  test('reads long lists in pages, without the bookkeeping of managers', async () => {
    const managedFields = [{ manager: 'me' }]
    for (let n = 0; n < 1001; n += 1) {
      const { metadata, ...rest } = configMap(`m${String(n).padStart(4, '0')}`)
      server.store.create('api/v1/configmaps', 'x', { ...rest, metadata: { ...metadata, managedFields } })
    }
    const all = await client.list(CONFIG_MAPS)
    expect(all.length).toBe(1001)
    expect(all.some(({ metadata }) => 'managedFields' in metadata)).toBe(false)
    expect(server.requests.length).toBe(3)
  })

  test('begins a list again whose page token is too old', async () => {
    for (let n = 0; n < 600; n += 1) server.store.create('api/v1/configmaps', 'x', configMap(`m${n}`))
    proxy.fault({ match: { path: 'continue=' }, fault: answer(410) })
    expect((await client.list(CONFIG_MAPS)).length).toBe(600)
  })

  test.each<readonly [string, Fault]>([
    ['429', answer(429)],
    ['500', answer(500)],
    ['503', answer(503)],
    ['504', answer(504)],
    ['a reset', reset()],
    ['no answer', hang()],
    ['an expired token', answer(401)],
  ])('repeats a read after %s', async (_what, fault) => {
    server.store.create('api/v1/configmaps', 'x', configMap('a'))
    proxy.fault({ match: {}, fault })
    expect((await client.get(CONFIG_MAPS, 'x', 'a'))?.metadata.name).toBe('a')
  })

  test.each<readonly [string, Fault, number]>([
    ['a 500', answer(500), 1],
    ['a 503', answer(503), 1],
    ['a lost answer', lostAnswer(), 1],
    ['a reset', reset(), 1],
    ['a conflict', answer(409), 1],
    ['too much load (429)', answer(429), 5],
    ['an expired token (401)', answer(401), 2],
  ])('sends a write that meets %s for ever: %i times', async (_what, fault, tries) => {
    proxy.fault({ match: { write: true }, fault, times: Number.POSITIVE_INFINITY })
    await expect(client.create(CONFIG_MAPS, configMap('a'), BY)).rejects.toThrow('API server')
    expect(proxy.writes()).toBe(tries)
  })

  test('repeats a write that never reached a server', async () => {
    const gone = openKubeClient(plainConnection('http://127.0.0.1:9'), {
      wait: (ms) => Promise.resolve(waits.push(ms)),
    })
    await expect(gone.create(CONFIG_MAPS, configMap('a'), BY)).rejects.toMatchObject({
      reason: 'ClusterUnavailable',
      retry: 'backoff',
    })
    expect(waits.length).toBe(4)
  })

  test('waits as long as the server asks, within reason', async () => {
    server.store.create('api/v1/configmaps', 'x', configMap('a'))
    proxy.fault({ match: {}, fault: answer(429, { 'retry-after': '7' }) })
    proxy.fault({ match: {}, fault: answer(503) })
    await client.get(CONFIG_MAPS, 'x', 'a')
    expect(waits).toEqual([7000, 300])
    proxy.fault({ match: {}, fault: answer(429, { 'retry-after': '3600' }) })
    await expect(client.get(CONFIG_MAPS, 'x', 'a')).rejects.toMatchObject({
      status: 429,
      retryAfterMs: 3_600_000,
    })
  })

  test('deletes under conditions', async () => {
    await client.create(CONFIG_MAPS, configMap('a'), BY)
    await expect(client.delete(CONFIG_MAPS, 'x', 'a', { uid: 'another' })).rejects.toMatchObject({
      reason: 'ClusterConflict',
    })
  })

  const item = (text: string) => `{"metadata":{"resourceVersion":"1"},"items":[${text}]}`
  test.each([
    '<html>',
    'null',
    '"a"',
    '[]',
    '{}',
    '{"metadata":null}',
    '{"metadata":"a"}',
    '{"metadata":[]}',
  ])('takes %j for no object, alone and in a list', async (text) => {
    server.store.create('api/v1/configmaps', 'x', configMap('a'))
    proxy.fault({ match: { path: /\/a$/ }, fault: edit(() => text), times: 9 })
    proxy.fault({ match: {}, fault: edit(() => item(text)), times: 9 })
    await expect(client.get(CONFIG_MAPS, 'x', 'a')).rejects.toMatchObject({ reason: 'ClusterUnavailable' })
    await expect(client.list(CONFIG_MAPS)).rejects.toMatchObject({ reason: 'ClusterUnavailable' })
  })

  test('takes no page of a gateway for a list', async () => {
    proxy.fault({ match: {}, fault: edit(() => '<html>'), times: 9 })
    await expect(client.list(CONFIG_MAPS)).rejects.toMatchObject({ reason: 'ClusterUnavailable' })
  })

  test('bounds an answer', async () => {
    proxy.fault({ match: {}, fault: answer(200, {}, 'x'.repeat(65 * 1024 * 1024)) })
    // With usual times: that much takes a busy machine longer than the others wait for.
    const patient = openKubeClient(plainConnection(proxy.url))
    await expect(patient.read('/version')).rejects.toMatchObject({ reason: 'LimitExceeded' })
    patient.close()
  })

  test('gives up when it is told to', async () => {
    proxy.fault({ match: {}, fault: hang() })
    const stop = new AbortController()
    const asked = client.get(CONFIG_MAPS, 'x', 'a', stop.signal)
    stop.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
  })
})

describe('the proxy', () => {
  test('calls back round the n-th write of an identity', async () => {
    const seen: string[] = []
    const other = openKubeClient(plainConnection(await proxy.endpoint('other')))
    const names = () => server.store.at('api/v1/configmaps', 'x', server.store.version).map(([key]) => key)
    proxy.beforeWrite(2, () => seen.push(`before: ${names().join(' ')}`))
    proxy.afterWrite(2, () => seen.push(`after: ${names().join(' ')}`))
    await other.create(CONFIG_MAPS, configMap('o'), BY)
    await client.create(CONFIG_MAPS, configMap('a'), BY)
    await client.create(CONFIG_MAPS, configMap('b'), BY)
    other.close()
    expect(seen).toEqual(['before: x/o x/a', 'after: x/o x/a x/b'])
    expect([proxy.writes(), proxy.writes('default'), proxy.writes('other')]).toEqual([3, 2, 1])
  })
})
