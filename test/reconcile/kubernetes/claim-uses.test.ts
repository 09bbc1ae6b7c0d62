import { describe, expect, test } from 'vitest'
import {
  claimsHeldBy,
  isForManyWriters,
  podClaims,
  rivalOf,
} from '../../../src/reconcile/kubernetes/claim-uses.ts'
import type {
  ClaimUse,
  PodClaim,
  KubeObject,
  ObservedObject,
} from '../../../src/reconcile/kubernetes/types.ts'
import { observeChild } from '../../../src/reconcile/kubernetes/observe.ts'
import { aSeenClaim, aSeenPod, aSeenWorkload } from './seen.ts'

const volume = (name: string, claimName: unknown, more: object = {}) => ({
  name,
  persistentVolumeClaim: { claimName, ...more },
})
const mounts = (...volumeMounts: readonly object[]) => ({ name: 'app', volumeMounts })

describe('the claims of a pod', () => {
  test.each<[string, unknown, readonly PodClaim[]]>([
    ['none of what is no PodSpec', 'x', []],
    ['none without a name', { volumes: [volume('a', 7), volume('b', ''), null] }, []],
    [
      'written where a container mounts it so',
      { volumes: [volume('a', 'data')], containers: [mounts({ name: 'a' })] },
      [{ name: 'data' }],
    ],
    [
      'written by an init container alone',
      {
        volumes: [volume('a', 'data')],
        containers: [mounts({ name: 'a', readOnly: true })],
        initContainers: [mounts({ name: 'a' })],
      },
      [{ name: 'data' }],
    ],
    [
      'written as a block device',
      { volumes: [volume('a', 'data')], containers: [{ volumeDevices: [{ name: 'a' }] }] },
      [{ name: 'data' }],
    ],
    [
      'read where all mounts are read-only',
      { volumes: [volume('a', 'data')], containers: [mounts({ name: 'a', readOnly: true })] },
      [{ name: 'data', readOnly: true }],
    ],
    [
      'read where the volume is read-only, whatever mounts say',
      { volumes: [volume('a', 'data', { readOnly: true })], containers: [mounts({ name: 'a' })] },
      [{ name: 'data', readOnly: true }],
    ],
    [
      'once, and written when one of its volumes is',
      {
        volumes: [volume('a', 'data', { readOnly: true }), volume('b', 'data')],
        containers: [mounts({ name: 'b' })],
      },
      [{ name: 'data' }],
    ],
  ])('are %s', (_title, spec, claims) => {
    expect(podClaims(spec)).toEqual(claims)
  })

  test('are seen on pods and in the templates of workloads', () => {
    const spec = { volumes: [volume('a', 'data')], containers: [mounts({ name: 'a' })] }
    const labels = { 'fairlead.dev/app': 'one', 'fairlead.dev/component': 'app' }
    const metadata = { name: 'one', namespace: 'chat', uid: 'u', labels }
    const objects: readonly KubeObject[] = [
      { apiVersion: 'v1', kind: 'Pod', metadata, spec },
      { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { template: { spec } } },
    ]
    expect(objects.map(observeChild)).toMatchObject([
      { claims: [{ name: 'data' }] },
      { claims: [{ name: 'data' }] },
    ])
  })
})

describe('a claim is held', () => {
  const claims = [{ name: 'data' }]
  const scaled = (specReplicas: number, applied?: number) =>
    aSeenWorkload({
      claims,
      specReplicas,
      applied:
        applied === undefined
          ? undefined
          : {
              apiVersion: 'apps/v1',
              kind: 'StatefulSet',
              metadata: { name: 'x' },
              spec: { replicas: applied },
            },
    })

  test.each<[string, ObservedObject, boolean]>([
    ['by a pod that runs', aSeenPod({ claims }), true],
    ['by a pod that ends', aSeenPod({ claims, deleting: true }), true],
    ['by a pod that nobody has seen start', aSeenPod({ claims, phase: 'Unknown' }), true],
    ['by a preflight pod', aSeenPod({ claims, role: 'preflight', phase: 'Pending' }), true],
    ['not by a pod that is over', aSeenPod({ claims, phase: 'Failed' }), false],
    ['by a workload that is to have pods', scaled(1), true],
    ['by a workload that somebody scaled down by hand', scaled(0, 1), true],
    ['not by a workload that rests', scaled(0, 0), false],
    ['not by another claim', aSeenClaim('data', '/data'), false],
  ])('%s', (_title, child, held) => {
    expect(claimsHeldBy(child)).toEqual(held ? claims : [])
  })
})

describe('a rival', () => {
  const use = (changes: Partial<ClaimUse> = {}): ClaimUse => ({
    claim: 'data',
    app: 'one',
    by: 'Pod/one-0',
    readOnly: false,
    is: 'runs',
    ...changes,
  })
  const once = ['ReadWriteOnce']

  test.each<[string, ClaimUse, PodClaim, readonly string[], boolean, boolean]>([
    ['writes while we write', use(), { name: 'data' }, once, false, true],
    ['writes while we read', use(), { name: 'data', readOnly: true }, once, false, true],
    ['reads while we write', use({ readOnly: true }), { name: 'data' }, once, false, true],
    ['is none when both read', use({ readOnly: true }), { name: 'data', readOnly: true }, once, false, false],
    ['is none on another claim', use({ claim: 'other' }), { name: 'data' }, once, false, false],
    ['is none on a claim for many', use(), { name: 'data' }, ['ReadWriteMany'], false, false],
    ['is one on a claim of unknown modes', use(), { name: 'data' }, [], false, true],
    ['wants what we have not', use({ is: 'wants' }), { name: 'data' }, once, false, true],
    ['wants in vain what we run with', use({ is: 'wants' }), { name: 'data' }, once, true, false],
    ['runs beside us', use(), { name: 'data' }, once, true, true],
  ])('%s', (_title, theirs, mine, modes, holds, expected) => {
    expect(rivalOf([theirs], mine, modes, holds)).toBe(expected ? theirs : undefined)
  })

  test.each<[readonly string[], boolean]>([
    [['ReadWriteMany'], true],
    [['ReadWriteMany', 'ReadOnlyMany'], true],
    [['ReadWriteOnce', 'ReadWriteMany'], false],
    [['ReadOnlyMany'], false],
    [[], false],
  ])('modes %s are for many writers: %s', (modes, many) => {
    expect(isForManyWriters(modes)).toBe(many)
  })
})
