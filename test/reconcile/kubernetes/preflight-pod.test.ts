import { describe, expect, test } from 'vitest'
import { fieldsOf, itemsOf, type Fields } from '../../../src/crd/view.ts'
import { preflightTask, preflightVolumes } from '../../../src/reconcile/kubernetes/preflight-order.ts'
import { preflightName } from '../../../src/reconcile/kubernetes/preflight-pod.ts'
import type { PreflightWish } from '../../../src/reconcile/kubernetes/types.ts'
import { dir } from '../../bundle/tree.ts'
import {
  containerOf,
  desiredOf,
  MATTERMOST,
  ONE_CLAIM,
  preflight,
  rendered,
  RESTRICTED,
  templateOf,
  WEB,
  wishOf,
  type Case,
} from './rendering.ts'

const specOf = (given: Case, changes: Partial<PreflightWish> = {}) =>
  fieldsOf(preflight(given, changes)['spec'])
const inOwnImage = (given: Case): Case => ({ ...given, options: { ...given.options, imageVolumes: false } })
const NODE = { nodeName: 'node-1' }

function envOf(container: Fields): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    itemsOf(container['env'])
      .map(fieldsOf)
      .map(({ name, value }) => [String(name), value]),
  )
}

describe('the pod', () => {
  test('has one name for a revision, and never more than 63 characters', () => {
    const long = 'a'.repeat(63)
    expect(preflightName('db', 'r1')).toMatch(/^db-preflight-[0-9a-f]{8}$/)
    expect(preflightName('db', 'r1')).not.toBe(preflightName('db', 'r2'))
    expect(preflightName(long, 'r1')).toHaveLength(63)
    expect(preflightName(long, 'r1')).not.toBe(preflightName(`${'a'.repeat(62)}b`, 'r1'))
    expect(preflightName(`${'a'.repeat(43)}--b`, 'r1')).not.toContain('--')
  })

  test('is found by its labels, and selected by neither Service nor workload', () => {
    const { metadata } = preflight(WEB)
    expect(metadata.labels).toEqual({
      'fairlead.dev/app': 'web',
      'fairlead.dev/component': 'preflight',
      'fairlead.dev/revision': desiredOf(WEB).revision,
      'app.kubernetes.io/managed-by': 'fairlead',
    })
    const { selector } = fieldsOf(rendered(WEB).service?.['spec'])
    expect(metadata.labels).not.toMatchObject(selector as object)
    expect(metadata.ownerReferences).toMatchObject([{ controller: true }])
    expect(metadata.annotations?.['fairlead.dev/image-digest']).toBe(desiredOf(WEB).image.digest)
  })

  test('ends once and for all, without a token', () => {
    expect(specOf(MATTERMOST)).toMatchObject({
      restartPolicy: 'Never',
      activeDeadlineSeconds: expect.any(Number) as number,
      automountServiceAccountToken: false,
    })
  })

  test('pulls with the secrets of both', () => {
    const given: Case = { ...WEB, options: { fairleadPullSecrets: ['ours', 'registry'] } }
    expect(specOf(given)['imagePullSecrets']).toEqual([{ name: 'registry' }, { name: 'ours' }])
  })
})

describe('the program', () => {
  test('runs in Fairlead’s image beside an image volume', () => {
    const spec = specOf(MATTERMOST)
    const container = containerOf(spec)
    expect(spec).not.toHaveProperty('initContainers')
    expect(container).toMatchObject({
      args: ['preflight', 'run'],
      image: expect.stringContaining('/fairlead@') as string,
    })
    expect(container).not.toHaveProperty('command')
    expect(itemsOf(spec['volumes'])).toContainEqual({
      name: 'source',
      image: {
        reference: `docker.io/mattermost/mattermost-team-edition@${desiredOf(MATTERMOST).image.digest}`,
        pullPolicy: 'IfNotPresent',
      },
    })
    expect(itemsOf(container['volumeMounts'])).toContainEqual({
      name: 'source',
      mountPath: '/source',
      readOnly: true,
    })
  })

  describe('without image volumes', () => {
    const spec = specOf(inOwnImage(MATTERMOST))
    const [writer, holder] = itemsOf(spec['initContainers']).map(fieldsOf)
    const container = containerOf(spec)
    const digest = desiredOf(MATTERMOST).image.digest

    test('still runs in Fairlead’s image, with nothing of the app’s mounted', () => {
      expect(container).toMatchObject({
        args: ['preflight', 'run'],
        image: expect.stringContaining('/fairlead@') as string,
      })
      expect(container).not.toHaveProperty('command')
      expect(Object.keys(envOf(container))).toEqual(['FAIRLEAD_PREFLIGHT'])
      expect(itemsOf(container['volumeMounts']).map((mount) => fieldsOf(mount)['mountPath'])).toEqual(
        ['0', '1', '2', '3', '4'].map((index) => `/volumes/${index}`),
      )
    })

    test('sees the app’s image beside it, where only our holder runs (rule V11)', () => {
      expect(spec['shareProcessNamespace']).toBe(true)
      expect(specOf(MATTERMOST)).not.toHaveProperty('shareProcessNamespace')
      expect(writer).toMatchObject({ image: container['image'] })
      expect(holder).toMatchObject({
        image: containerOf(fieldsOf(templateOf(rendered(MATTERMOST).workload)['spec']))['image'],
        command: [`/fairlead-${digest.replace(':', '-')}/holder`],
        workingDir: '/',
        restartPolicy: 'Always',
      })
    })

    test('has that holder without rights, and without a claim', () => {
      for (const each of [writer, holder]) {
        const { capabilities } = fieldsOf(each?.['securityContext'])
        expect(capabilities).toEqual({ drop: ['ALL'] })
      }
      const mountPath = `/fairlead-${digest.replace(':', '-')}`
      expect(writer?.['args']).toEqual(['preflight', 'write-holder', mountPath])
      expect(writer?.['volumeMounts']).toEqual([{ name: 'holder', mountPath }])
      expect(holder?.['volumeMounts']).toEqual([{ name: 'holder', mountPath, readOnly: true }])
    })

    test('is the same user as the holder, whose process it could not look into otherwise', () => {
      for (const given of [MATTERMOST, RESTRICTED]) {
        const all = specOf(inOwnImage(given))
        const users = [containerOf(all), ...itemsOf(all['initContainers'])].map((each) => {
          const { runAsUser, runAsGroup } = fieldsOf(fieldsOf(each)['securityContext'])
          return [runAsUser, runAsGroup]
        })
        expect(new Set(users.map(String)).size).toBe(1)
      }
    })
  })

  test('is told its task in JSON that no kubelet expands', () => {
    const config = { volumes: ['/a$(HOSTNAME)$$b'] }
    const container = containerOf(specOf({ config }))
    const text = String(envOf(container)['FAIRLEAD_PREFLIGHT'])
    expect(text).not.toContain('$')
    expect(JSON.parse(text)).toEqual(preflightTask(wishOf({ config })))
  })
})

describe('the task', () => {
  const given: Case = {
    config: { user: '7:8', volumes: ['/in', '/in/nested', '/out'] },
    files: { in: dir(), 'in/nested': dir() },
    spec: {
      volumes: [
        { path: '/never', seed: 'Never', exec: 'Any' },
        { path: '/memory', medium: 'Memory', size: '1Mi' },
        { path: '/mine', source: { claimName: 'mine', subPath: 'x' }, readOnly: true },
        { path: '/config', source: { configMap: { name: 'c' } } },
      ],
    },
  }

  test('has an entry for each volume with storage, in the order of the report', () => {
    expect(preflightTask(wishOf(given)).volumes).toEqual(
      [
        { path: '/in', action: 'Copy', inImage: true, nested: ['/in/nested'] },
        { path: '/in/nested', action: 'Copy', inImage: true },
        { path: '/mine', action: 'Check' },
        { path: '/never', action: 'Own', exec: 'Any' },
        { path: '/out', action: 'Copy' },
      ].map((volume, index) => ({
        destination: volume.path,
        mount: `/volumes/${index}`,
        subPath: '',
        inImage: false,
        uid: 7,
        gid: 8,
        nested: [],
        exec: 'Required',
        ...volume,
      })),
    )
    expect(preflightVolumes(wishOf(given)).map(({ path }) => path)).toEqual([
      '/in',
      '/in/nested',
      '/mine',
      '/never',
      '/out',
    ])
  })

  test('mounts a claim read-only where it is only looked at, and writable where it is seeded', () => {
    const mounts = (changes: Partial<PreflightWish> = {}) =>
      itemsOf(containerOf(specOf(given, changes))['volumeMounts'])
        .map(fieldsOf)
        .filter(({ name }) => String(name).includes('mine'))
    expect(mounts()).toMatchObject([{ mountPath: '/volumes/2', readOnly: true }])
    const { volumes } = desiredOf(given)
    expect(mounts({ toSeed: volumes, toCheck: [] })[0]).not.toHaveProperty('readOnly')
  })

  test('has one mount for a claim of many paths', () => {
    const { volumes } = preflightTask(wishOf(ONE_CLAIM))
    expect(new Set(volumes.map(({ mount }) => mount))).toEqual(new Set(['/volumes/0']))
    expect(new Set(volumes.map(({ subPath }) => subPath)).size).toBe(5)
  })

  describe('of claims that the user brought', () => {
    const volume = (path: string, subPath: string | undefined, readOnly = false) => ({
      path,
      source: { claimName: 'mine', ...(subPath === undefined ? {} : { subPath }) },
      readOnly,
    })
    const mountsOf = (volumes: readonly object[]) =>
      itemsOf(containerOf(specOf({ spec: { volumes } }))['volumeMounts'])
        .map(fieldsOf)
        .filter(({ mountPath }) => mountPath !== '/source')
        .map(({ name: _name, ...fields }) => fields)

    test('mounts no more than the app will', () => {
      expect(mountsOf([volume('/a', 'one/two')])).toEqual([{ mountPath: '/volumes/0', subPath: 'one/two' }])
      expect(mountsOf([volume('/a', undefined)])).toEqual([{ mountPath: '/volumes/0' }])
    })

    test('has one mount for a folder of a claim, read-only where all want it so', () => {
      expect(
        mountsOf([
          volume('/a', 'x', true),
          volume('/b', 'y', true),
          volume('/c', 'x'),
          volume('/d', 'y', true),
        ]),
      ).toEqual([
        { mountPath: '/volumes/0', subPath: 'x' },
        { mountPath: '/volumes/1', subPath: 'y', readOnly: true },
      ])
    })
  })

  test('says where the image is, and whether owners can be given', () => {
    expect(preflightTask(wishOf(MATTERMOST))).toMatchObject({ sourceRoot: '/source', restricted: false })
    expect(preflightTask(wishOf(RESTRICTED))).not.toHaveProperty('sourceRoot')
    expect(preflightTask(wishOf(RESTRICTED))).toMatchObject({ restricted: true })
  })
})

describe('rights', () => {
  test('are root’s over files, and no others', () => {
    expect(containerOf(specOf(MATTERMOST))['securityContext']).toEqual({
      runAsUser: 0,
      runAsGroup: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETFCAP'] },
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(specOf(MATTERMOST)['securityContext']).toEqual({ seccompProfile: { type: 'RuntimeDefault' } })
  })

  test('are the app’s own under restricted', () => {
    const spec = specOf(RESTRICTED)
    for (const container of [...itemsOf(spec['containers']), ...itemsOf(spec['initContainers'])]) {
      expect(fieldsOf(container)['securityContext']).toMatchObject({
        runAsUser: 2000,
        runAsGroup: 2001,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      })
    }
    expect(spec['securityContext']).toMatchObject({ fsGroup: 2001 })
  })
})

describe('scheduling', () => {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution'
  const here = { key: 'metadata.name', operator: 'In', values: ['node-1'] }
  const zone = { key: 'zone', operator: 'In', values: ['a'] }
  const apart = { [required]: [{ topologyKey: 'kubernetes.io/hostname', labelSelector: {} }] }
  const podSpec = {
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ operator: 'Exists' }],
    priorityClassName: 'high',
    runtimeClassName: 'runsc',
    schedulerName: 'other',
    serviceAccountName: 'db',
    hostUsers: false,
    affinity: {
      nodeAffinity: { [required]: { nodeSelectorTerms: [{ matchExpressions: [zone] }, {}] } },
      podAntiAffinity: apart,
    },
    topologySpreadConstraints: [{ topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', maxSkew: 1 }],
    hostNetwork: true,
  }
  const given: Case = { ...MATTERMOST, spec: { ...MATTERMOST.spec, podTemplate: { spec: podSpec } } }
  const {
    hostNetwork: _network,
    affinity: _affinity,
    topologySpreadConstraints: _spread,
    ...always
  } = podSpec

  test('is the app’s', () => {
    const { hostNetwork: _none, ...same } = podSpec
    expect(specOf(given)).toMatchObject(same)
    expect(specOf(given)).not.toHaveProperty('hostNetwork')
    expect(specOf(MATTERMOST)).not.toHaveProperty('affinity')
  })

  test('is the running pod’s node by affinity, in each alternative', () => {
    const spec = specOf(given, NODE)
    expect(spec).toMatchObject(always)
    expect(spec['affinity']).toEqual({
      nodeAffinity: {
        [required]: {
          nodeSelectorTerms: [{ matchExpressions: [zone], matchFields: [here] }, { matchFields: [here] }],
        },
      },
    })
    expect(spec).not.toHaveProperty('nodeName')
    expect(spec).not.toHaveProperty('topologySpreadConstraints')
  })

  test('without a word of the user is that node, too', () => {
    expect(specOf(MATTERMOST, NODE)['affinity']).toEqual({
      nodeAffinity: { [required]: { nodeSelectorTerms: [{ matchFields: [here] }] } },
    })
  })
})

describe('resources', () => {
  const resources = {
    requests: { cpu: '2', memory: '32Mi', 'example.com/gpu': '1' },
    limits: { cpu: '100m', memory: '4Gi', 'example.com/gpu': '1' },
  }
  const given: Case = {
    spec: { resources: { requests: { ...resources.requests, cpu: '100m' }, limits: resources.limits } },
  }
  const found = (changes: Partial<PreflightWish> = {}) => containerOf(specOf(given, changes))['resources']

  test('are requested like the app’s, with limits that the program can live with', () => {
    expect(found()).toEqual({
      requests: { cpu: '100m', memory: '32Mi', 'example.com/gpu': '1' },
      limits: { cpu: '500m', memory: '4Gi', 'example.com/gpu': '1' },
    })
  })

  test('are small beside the running pod, which may fill the node and hold its devices', () => {
    expect(found(NODE)).toEqual({
      requests: { cpu: '50m', memory: '32Mi' },
      limits: { cpu: '500m', memory: '4Gi' },
    })
  })

  test('of container and holder are together what the one would ask for', () => {
    const spec = (changes: Partial<PreflightWish> = {}) => specOf(inOwnImage(given), changes)
    const shares = (changes: Partial<PreflightWish> = {}) => [
      fieldsOf(itemsOf(spec(changes)['initContainers'])[1])['resources'],
      containerOf(spec(changes))['resources'],
    ]
    expect(shares()).toEqual([
      { requests: { cpu: '50m', memory: '16777216' }, limits: { cpu: '50m', memory: '64Mi' } },
      {
        requests: { cpu: '50m', memory: '16777216', 'example.com/gpu': '1' },
        limits: { cpu: '500m', memory: '4Gi', 'example.com/gpu': '1' },
      },
    ])
    expect(shares(NODE)).toEqual([
      { requests: { cpu: '25m', memory: '16777216' }, limits: { cpu: '50m', memory: '64Mi' } },
      { requests: { cpu: '25m', memory: '16777216' }, limits: { cpu: '500m', memory: '4Gi' } },
    ])
    const large = containerOf(specOf(RESTRICTED))['resources']
    expect(large).toEqual({ requests: { cpu: '450m', memory: '469762048' }, limits: { memory: '2Gi' } })
  })

  test('are none where the app names none', () => {
    expect(containerOf(specOf(WEB))).not.toHaveProperty('resources')
    for (const container of itemsOf(specOf(inOwnImage(WEB))['initContainers']))
      expect(container).not.toHaveProperty('resources')
  })
})
