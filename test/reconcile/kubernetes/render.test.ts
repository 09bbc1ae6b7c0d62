import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../../src/reconcile/canonical-json.ts'
import { appliedOf } from '../../../src/reconcile/kubernetes/drift.ts'
import { keepTemplate } from '../../../src/reconcile/kubernetes/render.ts'
import { selectorText } from '../../../src/reconcile/kubernetes/metadata.ts'
import { fieldsOf } from '../../../src/crd/view.ts'
import { IssuesError } from '../../../src/errors.ts'
import { digest } from '../../support/builders.ts'
import { appOf, MATTERMOST, podSpecOf, rendered, templateOf, WEB, type Case } from './rendering.ts'

const own = (entry: Record<string, unknown> = {}): Case => ({
  spec: { volumes: [{ path: '/data', ...entry }] },
})
const specOf = (given: Case) => fieldsOf(rendered(given).workload['spec'])

function refusal(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof IssuesError) return error.issues.map(({ reason, path }) => `${reason} ${path}`)
    throw error
  }
  return []
}

describe('the kind of the workload', () => {
  const brought = own({ source: { claimName: 'mine' } })
  test.each<[string, Case, string]>([
    ['no volume', {}, 'Deployment'],
    ['a volume of ours', own(), 'StatefulSet'],
    ['ReadWriteMany', own({ accessModes: ['ReadWriteMany'] }), 'Deployment'],
    ['ReadWriteMany and Once', own({ accessModes: ['ReadWriteMany', 'ReadWriteOnce'] }), 'StatefulSet'],
    ['ReadWriteOncePod', own({ accessModes: ['ReadWriteOncePod'] }), 'StatefulSet'],
    ['ReadOnlyMany', own({ accessModes: ['ReadOnlyMany'] }), 'StatefulSet'],
    ['ReadOnlyMany, read only', own({ accessModes: ['ReadOnlyMany'], readOnly: true }), 'Deployment'],
    ['memory', own({ medium: 'Memory', size: '1Mi' }), 'Deployment'],
    ['a ConfigMap', own({ source: { configMap: { name: 'c' } } }), 'Deployment'],
    ['a folder of the node', own({ source: { hostPath: { path: '/srv' } } }), 'Deployment'],
    ['a claim nobody knows', brought, 'StatefulSet'],
    ['a claim for many', { ...brought, claimModes: { mine: ['ReadWriteMany'] } }, 'Deployment'],
    ['a claim for one', { ...brought, claimModes: { mine: ['ReadWriteOnce'] } }, 'StatefulSet'],
    ['a claim called constructor', own({ source: { claimName: 'constructor' } }), 'StatefulSet'],
  ])('%s: %s', (_title, given, kind) => {
    const { workload } = rendered({ ...given, options: { podSecurity: 'privileged' } })
    expect(workload.kind).toBe(kind)
  })

  test('a StatefulSet replaces no pod by itself and has no claim templates', () => {
    expect(specOf(own())).toMatchObject({
      serviceName: 'mattermost',
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
    })
    expect(specOf(own())).not.toHaveProperty('volumeClaimTemplates')
  })

  test.each<[string, Record<string, unknown>, unknown]>([
    ['starts the new pod first', {}, { maxUnavailable: 0, maxSurge: 1 }],
    [
      'stops the old pod first for a port of the node',
      { ports: [{ port: 80, hostPort: 80 }] },
      { maxUnavailable: 1, maxSurge: 0 },
    ],
    [
      "stops the old pod first on the node's network",
      { podTemplate: { spec: { hostNetwork: true } } },
      { maxUnavailable: 1, maxSurge: 0 },
    ],
  ])('a Deployment %s', (_title, spec, rollingUpdate) => {
    const found = specOf({ spec, options: { podSecurity: 'privileged' } })
    expect(found['strategy']).toEqual({ type: 'RollingUpdate', rollingUpdate })
  })
})

describe('replicas', () => {
  test.each<[Record<string, unknown>, number]>([
    [{}, 1],
    [{ replicas: 3 }, 3],
    [{ replicas: 0 }, 0],
    [{ replicas: 3, suspend: true }, 0],
  ])('%j: %i', (spec, replicas) => {
    expect(specOf({ spec })['replicas']).toBe(replicas)
  })

  test('several on a volume that the image declares for one writer are refused', () => {
    expect(refusal(() => rendered({ spec: { replicas: 2 }, config: { volumes: ['/data'] } }))).toEqual([
      'InvalidSpec spec.replicas',
    ])
  })

  test('a name too long for the labels of a StatefulSet is refused, and right for a Deployment', () => {
    const metadata = { name: 'a'.repeat(53) }
    expect(refusal(() => rendered({ ...own(), metadata }))).toEqual(['InvalidSpec metadata.name'])
    expect(refusal(() => rendered({ metadata }))).toEqual([])
    expect(refusal(() => rendered({ ...own(), metadata: { name: 'a'.repeat(52) } }))).toEqual([])
  })
})

describe('the image', () => {
  const a1 = digest('a1')
  test.each([
    ['nginx:1.27', `docker.io/library/nginx:1.27@${a1}`],
    ['nginx', `docker.io/library/nginx:latest@${a1}`],
    [`nginx@${a1}`, `docker.io/library/nginx@${a1}`],
    [`nginx:1@${a1}`, `docker.io/library/nginx:1@${a1}`],
    ['registry.example.com:5000/a/b:c', `registry.example.com:5000/a/b:c@${a1}`],
  ])('%s runs as %s, and stays as typed beside it', (reference, image) => {
    expect(appOf({ reference })).toMatchObject({ image, imagePullPolicy: 'IfNotPresent' })
    const { annotations } = fieldsOf(templateOf(rendered({ reference }).workload)['metadata'])
    expect(annotations).toMatchObject({
      'fairlead.dev/image-reference': reference,
      'fairlead.dev/image-digest': a1,
    })
  })

  test('a layout in a file system is refused', () => {
    expect(() => rendered({ reference: 'oci:/srv/layout:1' })).toThrow(/pull from registries/)
  })
})

describe('the process', () => {
  test('words are left to the kubelet to expand', () => {
    const spec = {
      command: ['/run', '$(A)'],
      args: ['$$(A)'],
      env: [{ name: 'A', value: 'x' }, { name: 'B', value: '$(A)' }, { name: 'E' }],
      envFrom: [{ prefix: 'P_', secretRef: { name: 's', optional: true } }],
      workingDir: '/srv',
    }
    expect(appOf({ spec })).toMatchObject(spec)
  })

  test('probes, resources and ports reach the container', () => {
    const probe = { tcpSocket: { port: 80 }, failureThreshold: 7 }
    const spec = {
      ports: [{ port: 80 }],
      probes: { startup: probe, liveness: probe, readiness: probe },
      resources: { requests: { cpu: 1 }, limits: { memory: '1Gi' } },
    }
    expect(appOf({ spec })).toMatchObject({
      ports: [{ containerPort: 80, protocol: 'TCP' }],
      startupProbe: probe,
      livenessProbe: probe,
      readinessProbe: probe,
      resources: { requests: { cpu: '1' }, limits: { memory: '1Gi' } },
    })
  })

  test('gets no token and no variables of Services, but the time that the user gives it to stop', () => {
    expect(podSpecOf({ spec: { terminationGracePeriodSeconds: 0 } })).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
    })
  })
})

describe('the Service', () => {
  test.each<[string, Record<string, unknown>]>([
    ['without ports', {}],
    ['by the user’s word', { ports: [{ port: 80 }], service: { enabled: false } }],
  ])('is left out %s', (_title, spec) => {
    expect(rendered({ spec }).service).toBeUndefined()
  })

  test('selects the pods of the app, and no preflight pod', () => {
    const { service, workload } = rendered(WEB)
    const { selector } = fieldsOf(service?.['spec'])
    expect(selector).toEqual({ 'fairlead.dev/app': 'web', 'fairlead.dev/component': 'app' })
    expect(fieldsOf(workload['spec'])['selector']).toEqual({ matchLabels: selector })
    expect(selectorText('web')).toBe('fairlead.dev/app=web,fairlead.dev/component=app')
    expect(fieldsOf(templateOf(workload)['metadata'])['labels']).toMatchObject(selector as object)
  })
})

describe('objects', () => {
  test('belong to the app, and carry none of its labels and annotations', () => {
    const metadata = {
      labels: { 'app.kubernetes.io/instance': 'release' },
      annotations: { 'argocd.argoproj.io/tracking-id': 'x' },
    }
    const { workload, service } = rendered({ ...MATTERMOST, metadata })
    for (const object of [workload, service]) {
      expect(JSON.stringify(object)).not.toMatch(/instance|tracking-id/)
      expect(object?.metadata.ownerReferences).toMatchObject([{ kind: 'ContainerApp', controller: true }])
    }
  })

  test('of a resource that no server has seen have no owner', () => {
    const { workload } = rendered({ ...MATTERMOST, metadata: { uid: undefined } })
    expect(workload.metadata).not.toHaveProperty('ownerReferences')
  })

  test('keep the document that is applied', () => {
    const { workload, service } = rendered(WEB)
    expect(appliedOf(workload)?.['spec']).toEqual(workload['spec'])
    expect(service === undefined ? undefined : appliedOf(service)?.['spec']).toEqual(service?.['spec'])
  })
})

describe('keepTemplate', () => {
  const before = rendered(MATTERMOST).workload
  const otherOptions: Case = { ...MATTERMOST, options: { podSecurity: 'restricted' } }

  test('keeps the template of a revision, whatever would be rendered today', () => {
    const today = rendered({ ...otherOptions, spec: { ...MATTERMOST.spec, suspend: true } }).workload
    const kept = keepTemplate(today, appliedOf(before))
    expect(canonicalJson(templateOf(kept))).toBe(canonicalJson(templateOf(before)))
    expect(fieldsOf(kept['spec'])['replicas']).toBe(0)
    expect(appliedOf(kept)?.['spec']).toEqual(kept['spec'])
  })

  test('takes the new one for a new revision, and when nothing was applied', () => {
    const next = rendered({ ...MATTERMOST, spec: { ...MATTERMOST.spec, args: ['x'] } }).workload
    expect(keepTemplate(next, appliedOf(before))).toEqual(next)
    expect(keepTemplate(next, undefined)).toEqual(next)
  })
})

test('a volume whose path is a colon’s is refused by its name', () => {
  expect(refusal(() => rendered({ config: { volumes: ['/a:b'] } }))).toEqual(['VolumePathInvalid /a:b'])
})
