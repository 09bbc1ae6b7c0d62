import { describe, expect, test } from 'vitest'
import { formatIssue, IssuesError } from '../../../src/errors.ts'
import { overlaid } from '../../../src/reconcile/kubernetes/overlay.ts'
import { clusterSupportIssues } from '../../../src/reconcile/kubernetes/support.ts'
import { anApp } from '../../support/builders.ts'
import { POSTGRES, rendered, type Case } from './rendering.ts'

describe('laying one over the other', () => {
  const rows: readonly [string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>][] =
    [
      ['single values are replaced', { a: 1, b: 2 }, { a: 3 }, { b: 2, a: 3 }],
      ['maps are merged', { a: { b: 1, c: 2 } }, { a: { c: 3, d: 4 } }, { a: { b: 1, c: 3, d: 4 } }],
      ['null removes', { a: 1, b: { c: 1, d: 2 } }, { a: null, b: { c: null } }, { b: { d: 2 } }],
      [
        'empty objects stay',
        {},
        { volumes: [{ name: 'v', emptyDir: {} }] },
        { volumes: [{ name: 'v', emptyDir: {} }] },
      ],
      [
        'containers meet by name',
        { containers: [{ name: 'app', x: 1 }] },
        { containers: [{ name: 'b' }, { name: 'app', y: 2 }] },
        { containers: [{ name: 'app', x: 1, y: 2 }, { name: 'b' }] },
      ],
      [
        'env meets by name',
        { env: [{ name: 'A', value: '1' }] },
        { env: [{ name: 'A', value: '2' }, { name: 'B' }] },
        { env: [{ name: 'A', value: '2' }, { name: 'B' }] },
      ],
      [
        'mounts meet by path',
        { volumeMounts: [{ mountPath: '/a', name: 'x' }] },
        { volumeMounts: [{ mountPath: '/a/', readOnly: true }, { mountPath: '/b' }] },
        { volumeMounts: [{ mountPath: '/a/', name: 'x', readOnly: true }, { mountPath: '/b' }] },
      ],
      [
        'ports meet by number and protocol',
        { ports: [{ containerPort: 53, protocol: 'TCP' }] },
        {
          ports: [
            { containerPort: 53, name: 'dns' },
            { containerPort: 53, protocol: 'UDP' },
          ],
        },
        {
          ports: [
            { containerPort: 53, protocol: 'TCP', name: 'dns' },
            { containerPort: 53, protocol: 'UDP' },
          ],
        },
      ],
      [
        'objects without a key are appended',
        { tolerations: [{ key: 'a' }] },
        { tolerations: [{ key: 'a' }] },
        { tolerations: [{ key: 'a' }, { key: 'a' }] },
      ],
      ['plain lists are replaced', { add: ['A', 'B'] }, { add: ['C'] }, { add: ['C'] }],
      [
        'names of JavaScript are names',
        {},
        JSON.parse('{"__proto__": {"a": 1}}') as Record<string, unknown>,
        JSON.parse('{"__proto__": {"a": 1}}') as Record<string, unknown>,
      ],
    ]
  test.each(rows)('%s', (_title, base, overlay, result) => {
    expect(JSON.stringify(sortedKeys(overlaid(base, overlay)))).toBe(JSON.stringify(sortedKeys(result)))
  })
})

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, member]) => [key, sortedKeys(member)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

describe('what the overlay must not say', () => {
  const inApp = (fields: Record<string, unknown>) => ({ spec: { containers: [{ name: 'app', ...fields }] } })
  test.each<[string, Record<string, unknown>, string]>([
    ['another image', inApp({ image: 'x' }), 'spec.podTemplate.spec.containers[0].image'],
    ['another command', inApp({ command: ['x'] }), 'spec.podTemplate.spec.containers[0].command'],
    ['other arguments', inApp({ args: [] }), 'spec.podTemplate.spec.containers[0].args'],
    ['another folder', inApp({ workingDir: '/' }), 'spec.podTemplate.spec.containers[0].workingDir'],
    ['no mounts', inApp({ volumeMounts: null }), 'spec.podTemplate.spec.containers[0].volumeMounts'],
    [
      'a mount of ours',
      inApp({ volumeMounts: [{ mountPath: '/data/', name: 'x' }] }),
      'spec.podTemplate.spec.containers[0].volumeMounts[0]',
    ],
    [
      'another user',
      inApp({ securityContext: { runAsUser: 1 } }),
      'spec.podTemplate.spec.containers[0].securityContext.runAsUser',
    ],
    [
      'another user of the pod',
      { spec: { securityContext: { runAsGroup: 1 } } },
      'spec.podTemplate.spec.securityContext.runAsGroup',
    ],
    ['no containers', { spec: { containers: null } }, 'spec.podTemplate.spec.containers'],
    ['no volumes', { spec: { volumes: null } }, 'spec.podTemplate.spec.volumes'],
    [
      'a container without a name',
      { spec: { containers: [{ image: 'x' }] } },
      'spec.podTemplate.spec.containers[0]',
    ],
    [
      'a variable without a name',
      { spec: { initContainers: [{ name: 'i', env: [{ value: 'x' }] }] } },
      'spec.podTemplate.spec.initContainers[0].env[0]',
    ],
    ['a map where a list belongs', { spec: { containers: { app: {} } } }, 'spec.podTemplate.spec.containers'],
    ['a node past the scheduler', { spec: { nodeName: 'n' } }, 'spec.podTemplate.spec.nodeName'],
    [
      'a label of ours',
      { metadata: { labels: { 'fairlead.dev/app': 'x' } } },
      'spec.podTemplate.metadata.labels["fairlead.dev/app"]',
    ],
    [
      'an annotation of ours',
      { metadata: { annotations: { 'fairlead.dev/revision': 'x' } } },
      'spec.podTemplate.metadata.annotations["fairlead.dev/revision"]',
    ],
    [
      'a common label of ours',
      { metadata: { labels: { 'app.kubernetes.io/managed-by': 'x' } } },
      'spec.podTemplate.metadata.labels["app.kubernetes.io/managed-by"]',
    ],
    ['a label that is no text', { metadata: { labels: { a: 1 } } }, 'spec.podTemplate.metadata.labels.a'],
    ['labels that are no map', { metadata: { labels: null } }, 'spec.podTemplate.metadata.labels'],
    ['a name for pods', { metadata: { name: 'x' } }, 'spec.podTemplate.metadata.name'],
  ])('%s', (_title, podTemplate, path) => {
    const app = anApp({ volumes: [{ path: '/data' }], podTemplate })
    const issues = clusterSupportIssues(app)
    expect(issues.map(formatIssue).join('\n')).toContain(`${path}: `)
    expect(issues.filter(({ severity }) => severity === 'error').map((issue) => issue.path)).toEqual([path])
  })

  test('everything else is free: host network, sidecars, own labels, a token', () => {
    const podTemplate = {
      metadata: { labels: { team: 'x', 'app.kubernetes.io/part-of': 'y' } },
      spec: {
        hostNetwork: true,
        automountServiceAccountToken: true,
        containers: [{ name: 'side', image: 'x', command: ['y'], securityContext: { runAsUser: 0 } }],
      },
    }
    expect(clusterSupportIssues(anApp({ podTemplate }))).toEqual([])
    const text = JSON.stringify(
      rendered({ spec: { podTemplate }, options: { podSecurity: 'privileged' } }).workload['spec'],
    )
    expect(text).toContain('"automountServiceAccountToken":true')
    expect(text).toContain('"hostNetwork":true')
    expect(text).toContain('"name":"side"')
  })

  test.each<[string, Record<string, unknown>]>([
    [
      'a mount at a volume of the image',
      inApp({ volumeMounts: [{ mountPath: '/var/lib/postgresql/data', name: 'x' }] }),
    ],
    [
      'a volume of ours',
      { spec: { volumes: [{ name: 'db-var-lib-postgresql-data-74821c13', emptyDir: {} }] } },
    ],
  ])('%s, which is known when the image is', (_title, podTemplate) => {
    const given: Case = { ...POSTGRES, spec: { ...POSTGRES.spec, podTemplate } }
    expect(() => rendered(given)).toThrow(IssuesError)
  })
})
