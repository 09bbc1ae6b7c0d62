import { expect, test } from 'vitest'

import { parseApp } from '../../src/crd/app.ts'
import { parseStatus } from '../../src/crd/status.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { anApp, DIGEST } from './an-app.ts'

const digest = DIGEST as `sha256:${string}`
const status: AppStatus = {
  observedGeneration: 3,
  image: {
    reference: 'example.com/a:1',
    canonical: 'example.com/a:1',
    digest,
    platformDigests: [{ platform: 'linux/amd64', digest }],
    manifestDigest: digest,
    configDigest: digest,
    platform: 'linux/amd64',
    resolvedAt: '2026-01-31T12:00:00Z',
    source: { kind: 'registry', host: 'example.com', mirror: false },
    history: [{ digest, reference: 'example.com/a:0', resolvedAt: '2026-01-30T12:00:00.123+02:00' }],
  },
  volumes: [
    { path: '/data', claimName: 'a-data', origin: 'Image', phase: 'Ready', exec: 'Allowed', seeded: true },
  ],
  workload: {
    replicas: 1,
    ready: 1,
    revision: 'a-1',
    selector: 'fairlead.dev/app=a',
    addresses: ['10.0.0.1:80'],
    restarts: 2,
    lastTermination: {
      exitCode: 137,
      signal: 9,
      reason: 'OutOfMemory',
      finishedAt: '2026-01-31T12:00:00Z',
      message: '',
    },
  },
  lastHandledRequest: 'now',
  inventory: [{ apiVersion: 'v1', kind: 'Service', name: 'a' }],
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Running',
      message: '',
      lastTransitionTime: '2026-01-31T12:00:00Z',
    },
  ],
}

test('reads back every field', () => {
  expect(parseStatus(structuredClone(status))).toEqual(status)
})

test('leaves out fields that it does not know', () => {
  expect(parseStatus({ ...status, fromTheFuture: 1, workload: { ready: 1, more: [] } })).toEqual({
    ...status,
    workload: { ready: 1 },
  })
})

test.each([
  ['no object', 'text'],
  ['null', null],
  ['a short digest', { image: { ...status.image, digest: 'sha256:abc' } }],
  ['an upper-case digest', { image: { ...status.image, digest: DIGEST.toUpperCase() } }],
  ['an unknown algorithm', { image: { ...status.image, digest: `md5:${'a'.repeat(64)}` } }],
  ['a digest with a line end', { image: { ...status.image, manifestDigest: `${DIGEST}\n` } }],
  [
    'a wrong digest in the history',
    {
      image: {
        ...status.image,
        history: [{ digest: 'x', reference: 'a', resolvedAt: '2026-01-31T12:00:00Z' }],
      },
    },
  ],
  [
    'a history that is too long',
    { image: { ...status.image, history: Array.from({ length: 6 }, () => status.image?.history?.[0]) } },
  ],
  ['an unknown origin', { volumes: [{ path: '/a', origin: 'Magic', phase: 'Ready' }] }],
  [
    'a condition without a time',
    { conditions: [{ type: 'Ready', status: 'True', reason: '', message: '' }] },
  ],
])('gives nothing for %s', (_what, input) => {
  expect(parseStatus(input)).toBeUndefined()
})

test('is part of the app that carries it', () => {
  const parsed = parseApp(anApp({}, { status }), '')
  expect(parsed).toMatchObject({ app: { status } })
})

test('is refused with its field when the app carries a broken one', () => {
  const parsed = parseApp(anApp({}, { status: { image: { ...status.image, digest: 'sha256:abc' } } }), '')
  expect(parsed).toMatchObject({ issues: [{ path: 'status.image.digest' }] })
})
