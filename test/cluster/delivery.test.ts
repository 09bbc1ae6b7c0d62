/** Manifests, chart and CRD on a real API server: what it takes, what it refuses and with which words. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SHORT_NAME } from '../../src/crd/labels.ts'
import { fieldsOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'
import { CHART, documentsOf, ofKind, ROOT } from '../delivery/tools.ts'
import { startControlPlane } from './bed/control-plane.ts'
import type { ControlPlane } from './bed/control-plane.ts'
import { runHelm } from './bed/helm.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'

const MANIFESTS = path.join(ROOT, 'manifests')
const ACCOUNT = 'system:serviceaccount:fairlead-system:fairlead'

interface Refusal {
  readonly what: string
  readonly spec: Fields
  /** A merge patch of the spec; absent: it is refused at once. */
  readonly change?: Fields
  readonly message: RegExp
}

const DATA = { path: '/data', size: '2Gi' }

const REFUSALS: readonly Refusal[] = [
  {
    what: 'another layout',
    spec: { image: 'x/y:1', volumeDefaults: { layout: 'OneClaim' } },
    change: { volumeDefaults: { layout: 'ClaimPerPath' } },
    message: /spec\.volumeDefaults: .*layout cannot change/,
  },
  {
    what: 'another layout by leaving it out',
    spec: { image: 'x/y:1', volumeDefaults: { layout: 'OneClaim' } },
    change: { volumeDefaults: null },
    message: /spec\.volumeDefaults: .*layout cannot change/,
  },
  {
    what: 'many replicas on a volume for one writer',
    spec: { image: 'x/y:1', volumes: [DATA] },
    change: { replicas: 2 },
    message: /spec\.replicas: .*must be at most 1/,
  },
  {
    what: 'many replicas where the volume itself narrows the defaults',
    spec: {
      image: 'x/y:1',
      replicas: 2,
      volumeDefaults: { accessModes: ['ReadWriteMany'] },
      volumes: [{ ...DATA, accessModes: ['ReadWriteOnce'] }],
    },
    message: /spec\.replicas: .*must be at most 1/,
  },
  {
    what: 'memory without a limit',
    spec: { image: 'x/y:1', volumes: [DATA, { path: '/m', medium: 'Memory' }] },
    message: /spec\.volumes: .*medium: Memory needs a size/,
  },
  {
    what: 'memory without a limit for all volumes',
    spec: { image: 'x/y:1', volumeDefaults: { medium: 'Memory' } },
    message: /spec\.volumeDefaults\.size: .*needs a limit/,
  },
  {
    what: 'one path twice',
    spec: { image: 'x/y:1', volumes: [{ path: '/a' }, { path: '/a/' }] },
    message: /spec\.volumes: .*same path/,
  },
  {
    what: 'a policy that needs a digest',
    spec: { image: 'x/y:1', imagePolicy: { resolve: 'Never' } },
    message: /spec\.image: .*needs a digest/,
  },
  {
    what: 'two sources',
    spec: {
      image: 'x/y:1',
      volumes: [{ path: '/a', source: { claimName: 'a', secret: { secretName: 'b' } } }],
    },
    message: /spec\.volumes\[0\]\.source: .*exactly one of/,
  },
  {
    what: 'an unknown field',
    spec: { image: 'x/y:1', volume: [] },
    message: /unknown field "spec\.volume"/,
  },
]

/** Several may write each of these, so two replicas are right. */
const MANY_WRITERS: readonly (readonly [string, Fields])[] = [
  ['no volumes', {}],
  ['ReadWriteMany', { volumes: [{ ...DATA, accessModes: ['ReadWriteMany'] }] }],
  ['ReadWriteMany by default', { volumes: [DATA], volumeDefaults: { accessModes: ['ReadWriteMany'] } }],
  ['memory', { volumes: [{ path: '/m', medium: 'Memory', size: '1Mi' }] }],
  [
    'memory of the usual size',
    { volumes: [{ path: '/m', medium: 'Memory' }], volumeDefaults: { size: '1Mi' } },
  ],
  ['files of a ConfigMap', { volumes: [{ path: '/c', source: { configMap: { name: 'c' } } }] }],
  ['read by many', { volumes: [{ ...DATA, readOnly: true, accessModes: ['ReadOnlyMany'] }] }],
]

describe.skipIf(await isControlPlaneMissing())('delivery on a real API server', () => {
  let plane: ControlPlane
  let home: string

  const helm = (...args: readonly string[]) => runHelm(plane.adminKubeconfig, home, args)
  const create = (spec: Fields, name = 'app') =>
    plane.kubectl(['create', '--validate=strict', '-f', '-'], {
      input: { apiVersion: 'fairlead.dev/v1alpha1', kind: 'ContainerApp', metadata: { name }, spec },
    })
  const mayI = async (...question: readonly string[]) => {
    const asked = plane.kubectl(['auth', 'can-i', ...question, '--as', ACCOUNT])
    return await asked.then(
      (answer) => answer.startsWith('yes'),
      () => false,
    )
  }

  beforeAll(async () => {
    plane = await startControlPlane()
    home = await mkdtemp(path.join(tmpdir(), 'fairlead-helm-'))
    await plane.kubectl(['apply', '--server-side', '--validate=strict', '-k', MANIFESTS])
    await plane.kubectl(['wait', '--for=create', 'crd/containerapps.fairlead.dev'])
    await plane.kubectl(['wait', '--for=condition=Established', 'crd/containerapps.fairlead.dev'])
  })

  afterAll(async () => {
    await plane.stop()
    await rm(home, { recursive: true, force: true })
  })

  test('kubectl apply -k again changes nothing', async () => {
    const version = () => plane.kubectl(['get', 'crd', '-o', 'jsonpath={.items[*].metadata.resourceVersion}'])
    const before = await version()
    await plane.kubectl(['apply', '--server-side', '-k', MANIFESTS])
    expect(await version()).toBe(before)
  })

  test('the examples beside the kustomization are valid', async () => {
    await plane.kubectl(['create', 'namespace', 'chat'])
    for (const name of ['network-policy', 'pod-disruption-budget', 'pull-secrets-binding'])
      await plane.kubectl(['apply', '--validate=strict', '-f', path.join(MANIFESTS, `${name}.yaml`)])
    expect(await mayI('get', 'secrets', '-n', 'chat')).toBe(true)
    expect(await mayI('get', 'secrets', '-n', 'default')).toBe(false)
    expect(await mayI('list', 'secrets', '-n', 'chat')).toBe(false)
  })

  test('the controller and the test pod pass Pod Security restricted', async () => {
    const objects = documentsOf(await helm('template', 'fairlead', CHART, '-n', 'fairlead-system'))
    const [deployment = {}] = ofKind(objects, 'Deployment')
    const { spec } = fieldsOf(fieldsOf(deployment['spec'])['template'])
    const pods = [{ metadata: { name: 'controller' }, spec }, ...ofKind(objects, 'Pod')]
    expect(pods).toHaveLength(2)
    for (const account of ['fairlead-test', 'default'])
      await plane.kubectl(['create', 'serviceaccount', account, '-n', 'fairlead-system'])
    for (const pod of pods)
      await plane.kubectl(['create', '--dry-run=server', '-n', 'fairlead-system', '-f', '-'], {
        input: { ...pod, apiVersion: 'v1', kind: 'Pod' },
      })
    const container = { name: 'c', image: 'x' }
    const plain = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [container] },
    }
    const refused = plane.kubectl(['create', '--dry-run=server', '-n', 'fairlead-system', '-f', '-'], {
      input: plain,
    })
    await expect(refused).rejects.toThrow(/PodSecurity "restricted/)
  })

  test.each([
    ['get', 'containerapps', true],
    ['patch', 'containerapps/status', true],
    ['patch', 'containerapps', false],
    ['update', 'containerapps', false],
    ['create', 'persistentvolumeclaims', true],
    ['delete', 'persistentvolumeclaims', false],
    ['delete', 'pods', true],
    ['create', 'pods/exec', false],
    ['list', 'secrets', false],
    ['create', 'roles', false],
    ['list', 'nodes', true],
    ['delete', 'nodes', false],
  ])('the controller %s %s: %s', async (verb, resource, allowed) => {
    const [type = '', subresource] = resource.split('/')
    const below = subresource === undefined ? [] : [`--subresource=${subresource}`]
    expect(await mayI(verb, type, ...below, '-n', 'default')).toBe(allowed)
  })

  test.each(REFUSALS)('refuses $what', async ({ spec, change, message }) => {
    const attempt = async () => {
      await create(spec)
      if (change !== undefined)
        await plane.kubectl([
          'patch',
          SHORT_NAME,
          'app',
          '--type=merge',
          '-p',
          JSON.stringify({ spec: change }),
        ])
    }
    await expect(attempt()).rejects.toThrow(message)
    await plane.kubectl(['delete', SHORT_NAME, 'app', '--ignore-not-found'])
  })

  test.each(MANY_WRITERS)('takes two replicas with %s', async (_what, more) => {
    expect(await create({ image: 'x/y:1', replicas: 2, ...more })).toContain('app created')
    await plane.kubectl(['delete', SHORT_NAME, 'app'])
  })

  test('finds apps by image, shows columns, and explains fields', async () => {
    await create({ image: 'x/y:1' }, 'one')
    await create({ image: 'x/y:2' }, 'two')
    const found = await plane.kubectl(['get', 'capp', '--field-selector', 'spec.image=x/y:2', '-o', 'name'])
    expect(found.trim()).toBe('containerapp.fairlead.dev/two')
    for (const category of ['all', 'fairlead'])
      expect(await plane.kubectl(['get', category, '-o', 'name'])).toContain('containerapp.fairlead.dev/one')
    const table = await plane.kubectl(['get', SHORT_NAME, '-o', 'wide'])
    expect(table.split('\n')[0]?.split(/\s+/)).toEqual(
      expect.arrayContaining(['NAME', 'IMAGE', 'DIGEST', 'READY', 'AGE', 'REASON', 'MESSAGE']),
    )
    const words = await plane.kubectl(['explain', `${SHORT_NAME}.spec.volumes`])
    expect(words).toMatch(/Every VOLUME of the image gets one anyway/)
    expect(words).toMatch(/size\t.*\n.*May grow/)
  })

  test('Helm takes over what kubectl installed, keeps the CRD, and lets a second release share it', async () => {
    const released = ['-n', 'helm-a', '--create-namespace']
    await expect(helm('install', 'fairlead', CHART, ...released)).rejects.toThrow(/containerapps/)
    await helm('install', 'fairlead', CHART, ...released, '--take-ownership')
    await helm('upgrade', 'fairlead', CHART, ...released, '--set', 'replicas=2')
    await helm(
      'install',
      'second',
      CHART,
      '-n',
      'helm-b',
      '--create-namespace',
      '--set',
      'crds.install=false,watch.namespaces={default}',
    )
    await helm('uninstall', 'second', '-n', 'helm-b')
    await helm('uninstall', 'fairlead', '-n', 'helm-a')
    expect(await plane.kubectl(['get', SHORT_NAME, '-o', 'name'])).toContain('containerapp.fairlead.dev/one')
    const left = await plane.kubectl(['get', 'clusterroles', '-o', 'name'])
    expect(left.split('\n').filter((name) => name.includes('/helm-'))).toEqual([])
  })
})
