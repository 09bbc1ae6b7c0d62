import { describe, expect, test } from 'vitest'
import { broughtClaims } from '../../../src/reconcile/kubernetes/brought-claims.ts'
import { renderClaims } from '../../../src/reconcile/kubernetes/claims.ts'
import { appOf, desiredOf, ONE_CLAIM, podSpecOf, rendered, type Case } from './rendering.ts'
import { dir, link } from '../../bundle/tree.ts'
import { claimName } from '../../../src/reconcile/names.ts'

const OWNED = { kind: 'ContainerApp', controller: false, blockOwnerDeletion: false }
const one = (entry: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Case => ({
  spec: { volumes: [{ path: '/data', ...entry }], ...more },
})

describe('a claim for each path', () => {
  test.each<[string, Case, unknown]>([
    [
      'the operator’s size',
      one(),
      { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } },
    ],
    [
      'the defaults',
      one({}, { volumeDefaults: { size: '2Gi', storageClassName: 'fast', accessModes: ['ReadWriteMany'] } }),
      {
        accessModes: ['ReadWriteMany'],
        resources: { requests: { storage: '2Gi' } },
        storageClassName: 'fast',
      },
    ],
    [
      'its own words',
      one(
        { size: '3Gi', storageClassName: '', accessModes: ['ReadWriteOncePod'] },
        { volumeDefaults: { size: '2Gi', storageClassName: 'fast' } },
      ),
      {
        accessModes: ['ReadWriteOncePod'],
        resources: { requests: { storage: '3Gi' } },
        storageClassName: '',
      },
    ],
    [
      'a path with a slash at its end',
      one({ path: '/data/', size: '3Gi' }),
      { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } },
    ],
    [
      'a source to be filled from',
      one({ dataSourceRef: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' } }),
      {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '10Gi' } },
        dataSourceRef: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' },
      },
    ],
  ])('has %s', (_title, given, spec) => {
    expect(rendered(given).claims.map(({ object }) => object['spec'])).toEqual([spec])
  })

  test('says its size in bytes and where it is mounted', () => {
    const { claims } = rendered(one({ size: '1.5Ki' }))
    expect(claims[0]).toMatchObject({ sizeBytes: 1536n, volumes: [{ path: '/data', subPath: '' }] })
    expect(claims[0]?.object.metadata.annotations).toMatchObject({ 'fairlead.dev/volume-path': '["/data"]' })
  })

  test.each<['Retain' | 'Delete', unknown]>([
    ['Retain', undefined],
    ['Delete', [expect.objectContaining(OWNED)]],
  ])('retain: %s', (retain, owners) => {
    const [claim] = rendered(one({ retain })).claims
    const { ownerReferences, annotations, ...metadata } = claim?.object.metadata ?? { name: '' }
    expect(claim?.retain).toBe(retain)
    expect(ownerReferences).toEqual(owners)
    expect(annotations?.['argocd.argoproj.io/sync-options']).toBe(
      retain === 'Retain' ? 'Prune=false,Delete=false' : undefined,
    )
    expect(metadata).not.toHaveProperty('finalizers')
  })

  test.each<[string, Record<string, unknown>]>([
    ['memory', { medium: 'Memory', size: '1Mi' }],
    ['a claim of the user', { source: { claimName: 'mine' } }],
    ['a Secret', { source: { secret: { secretName: 's' } } }],
  ])('is not made for %s', (_title, entry) => {
    expect(rendered(one(entry)).claims).toEqual([])
  })

  test('whose words are said for a link to its folder is refused, not made by guess', () => {
    const files = { 'run/data': dir(), var: dir(), 'var/data': link('/run/data') }
    const given: Case = {
      config: { volumes: ['/run/data'] },
      files,
      spec: { volumes: [{ path: '/var/data', size: '3Gi' }] },
    }
    expect(() => rendered(given)).toThrow(/write the path without the link/)
    expect(() => rendered({ ...given, spec: { volumes: [{ path: '/var/data' }] } })).not.toThrow()
  })
})

describe('one claim for all paths', () => {
  test('has a folder for each of them', () => {
    const { claims } = rendered(ONE_CLAIM)
    expect(claims).toHaveLength(1)
    expect(claims[0]?.name).toBe(claimName('mattermost', ''))
    const folders = claims[0]?.volumes.map(({ subPath }) => subPath) ?? []
    expect(new Set(folders).size).toBe(5)
    expect(appOf(ONE_CLAIM)['volumeMounts']).toMatchObject(folders.map((subPath) => ({ subPath })))
    expect(podSpecOf(ONE_CLAIM)['volumes']).toHaveLength(1)
  })

  test('has folders that depend on the path alone', () => {
    const paths = (volumes: readonly string[]) =>
      rendered({ config: { volumes }, spec: { volumeDefaults: { layout: 'OneClaim' } } }).claims[0]?.volumes
    expect(paths(['/a', '/b'])).toEqual([...(paths(['/a']) ?? []), ...(paths(['/b']) ?? [])])
  })

  test('is kept when one of its paths is to be kept', () => {
    const desired = desiredOf(ONE_CLAIM)
    const volumes = desired.volumes.map((volume, index) => ({
      ...volume,
      retain: index === 1 ? ('Retain' as const) : ('Delete' as const),
    }))
    const [claim] = renderClaims({ ...desired, volumes }, '1Gi')
    expect(claim?.retain).toBe('Retain')
    expect(claim?.object.metadata).not.toHaveProperty('ownerReferences')
  })

  test('leaves out what has storage of its own', () => {
    const given = one({ source: { claimName: 'mine' } }, { volumeDefaults: { layout: 'OneClaim' } })
    const { claims } = rendered({ ...given, config: { volumes: ['/other'] } })
    expect(claims.map(({ volumes }) => volumes.map(({ path }) => path))).toEqual([['/other']])
  })
})

describe('mounts', () => {
  test('are there for each path, parents first, also below another volume (rule V9)', () => {
    const { volumeMounts } = appOf({ config: { volumes: ['/a/b/c', '/a', '/a/b'] } })
    expect(volumeMounts).toMatchObject(['/a', '/a/b', '/a/b/c'].map((mountPath) => ({ mountPath })))
  })

  test('go to the folder that a link in the image leads to (rule V3)', () => {
    const files = { 'run/data': dir(), var: dir(), 'var/data': link('/run/data') }
    expect(appOf({ config: { volumes: ['/var/data'] }, files })['volumeMounts']).toMatchObject([
      { mountPath: '/run/data' },
      { mountPath: '/var/data' },
    ])
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]>([
    [
      'a folder of a claim',
      { source: { claimName: 'mine', subPath: 'a/b' } },
      { subPath: 'a/b' },
      { persistentVolumeClaim: { claimName: 'mine' } },
    ],
    [
      'read only',
      { readOnly: true, source: { claimName: 'mine' } },
      { readOnly: true },
      { persistentVolumeClaim: { claimName: 'mine' } },
    ],
    [
      'memory',
      { medium: 'Memory', size: '64Mi' },
      {},
      { emptyDir: { medium: 'Memory', sizeLimit: '67108864' } },
    ],
    ['a folder of the node', { source: { hostPath: { path: '/srv' } } }, {}, { hostPath: { path: '/srv' } }],
    [
      'a ConfigMap',
      { source: { configMap: { name: 'c', optional: true, defaultMode: 292 } } },
      { readOnly: true },
      { configMap: { name: 'c', optional: true, defaultMode: 292 } },
    ],
    [
      'one key of a Secret',
      { source: { secret: { secretName: 's' }, subPath: 'key' } },
      { readOnly: true, subPath: 'key' },
      { secret: { secretName: 's' } },
    ],
  ])('of %s', (_title, entry, mount, source) => {
    const spec = podSpecOf({ ...one(entry), options: { podSecurity: 'privileged' } })
    const [volume] = spec['volumes'] as readonly { readonly name: string }[]
    expect(volume).toEqual({ name: volume?.name, ...source })
    const mounts = appOf({ ...one(entry), options: { podSecurity: 'privileged' } })['volumeMounts']
    expect(mounts).toEqual([{ name: volume?.name, mountPath: '/data', ...mount }])
  })

  test('of a claim that is called like another path are of that claim', () => {
    const volumes = [
      { path: '/data', medium: 'Memory', size: '1Mi' },
      { path: '/mine', source: { claimName: 'data' } },
    ]
    expect(podSpecOf({ spec: { volumes } })['volumes']).toHaveLength(2)
  })

  test('of one claim at two paths share the pod’s volume, whatever the claim is called', () => {
    const claim = `${'long.'.repeat(40)}name`
    const volumes = [
      { path: '/a', source: { claimName: claim, subPath: 'a' } },
      { path: '/b', source: { claimName: claim, subPath: 'b' } },
    ]
    expect(podSpecOf({ spec: { volumes } })['volumes']).toHaveLength(1)
  })
})

describe('a claim of the pod template', () => {
  const overlay = (
    more: object = {},
    spec: object = {},
    modes: readonly string[] = ['ReadWriteOnce'],
  ): Case => {
    const volumes = [{ name: 'x', persistentVolumeClaim: { claimName: 'mine', ...more } }]
    return { spec: { podTemplate: { spec: { volumes } }, ...spec }, claimModes: { mine: modes } }
  }

  test.each<[string, Case, string]>([
    ['is for one writer', overlay(), 'StatefulSet'],
    ['of unknown modes is for one writer', { ...overlay(), claimModes: {} }, 'StatefulSet'],
    ['that many may write is for many', overlay({}, { replicas: 2 }, ['ReadWriteMany']), 'Deployment'],
    ['that is only read is for many', overlay({ readOnly: true }, { replicas: 2 }), 'Deployment'],
  ])('%s', (_title, given, kind) => {
    expect(rendered(given).workload.kind).toBe(kind)
  })

  test('for one writer has one pod', () => {
    expect(() => rendered(overlay({}, { replicas: 2 }))).toThrow(
      /claim mine of podTemplate is for one writer/,
    )
  })

  test('is looked up like one of spec.volumes, when it can be a claim’s name', () => {
    const volumes = ['mine', '../../nodes', '', 7, 'a'.repeat(300)].map((claimName) => ({
      persistentVolumeClaim: { claimName },
    }))
    const spec = {
      volumes: [{ path: '/a', source: { claimName: 'given' } }, { source: { claimName: 'mine' } }],
      podTemplate: { spec: { volumes } },
    }
    expect(broughtClaims({ spec })).toEqual(['given', 'mine'])
  })
})
