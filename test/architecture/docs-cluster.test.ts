/** What the documentation says of clusters is what code, chart and roles say. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { ControllerMetrics } from '../../src/controller/metrics.ts'
import { buildApp } from '../../src/crd/app.ts'
import { ROLES } from '../../src/crd/publish/rbac.ts'
import { fieldsOf, itemsOf, textOf, type Fields } from '../../src/crd/view.ts'
import { parseImagesConfig } from '../../src/engine/kubernetes/images/images-config.ts'
import type { Issue } from '../../src/errors.ts'
import { clusterSupportIssues } from '../../src/reconcile/kubernetes/support.ts'
import { localSupportIssues } from '../../src/reconcile/local-support.ts'
import { codeSpans, commandLines, pages, tableRows, type Page } from './markdown.ts'
import { ROOT, sourceFiles } from './source-files.ts'

const all = pages()
const blocks = all.flatMap((page) =>
  page.blocks.map((block) => ({ block, at: `${page.path}:${block.line}` })),
)

function page(name: string): Page {
  const found = all.find((candidate) => candidate.path === name)
  if (found === undefined) throw new Error(`${name} is missing`)
  return found
}

function readText(...parts: readonly string[]): string {
  return readFileSync(path.join(ROOT, ...parts), 'utf8')
}

/** Code spans of the first cells of a table. */
function namesIn(name: string, heading: string): readonly string[] {
  return tableRows(page(name), heading).flatMap(([cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
  )
}

const OPERATIONS = 'docs/operations-kubernetes.md'

describe('fields of both engines', () => {
  const rows = tableRows(page('docs/engines.md'), 'Fields').map(([field = '', local = '', cluster = '']) => ({
    field: field.replaceAll('`', ''),
    local,
    cluster,
  }))

  /** A resource that uses the field in the way in which an engine could not honour it. */
  const SAMPLES: Readonly<Record<string, Fields>> = {
    'spec.replicas': { replicas: 2 },
    'spec.ports[].hostPort': { ports: [{ port: 80, hostPort: 81 }] },
    'spec.resources.limits.NAME': { resources: { limits: { 'ephemeral-storage': '1Gi' } } },
    'spec.resources.requests.NAME': { resources: { requests: { 'ephemeral-storage': '1Gi' } } },
    'spec.volumes[].dataSourceRef': { volumes: [{ path: '/a', dataSourceRef: { kind: 'X', name: 'x' } }] },
    'spec.volumes[].storageClassName': { volumes: [{ path: '/a', storageClassName: 'fast' }] },
    'spec.volumes[].size': { volumes: [{ path: '/a', size: '1Gi' }] },
    'spec.volumeDefaults.storageClassName': { volumeDefaults: { storageClassName: 'fast' } },
    'spec.volumeDefaults.layout': { volumeDefaults: { layout: 'OneClaim' } },
    'spec.probes': { probes: { readiness: { exec: { command: ['/a'] } } } },
    'spec.podTemplate': { podTemplate: { spec: { hostAliases: [] } } },
    'spec.service': { ports: [{ port: 80 }], service: { type: 'NodePort' } },
    'spec.securityContext.fsGroup': { securityContext: { fsGroup: 5 } },
    'spec.hooks': { hooks: [{ path: '/a' }] },
    'spec.volumes[].exec': { volumes: [{ path: '/a', exec: 'Forbidden' }] },
    'spec.volumeDefaults.exec': { volumeDefaults: { exec: 'Forbidden' } },
    'spec.volumes[].source.hostPath': { volumes: [{ path: '/a', source: { hostPath: { path: '/b' } } }] },
    'spec.imagePolicy.platform': { imagePolicy: { platform: 'linux/arm64' } },
  }

  function verdict(issues: readonly Issue[]): string {
    if (issues.some(({ severity }) => severity === 'error')) return 'refused'
    return issues.length > 0 ? 'warning' : 'honoured'
  }

  function verdicts(field: string): { readonly local: string; readonly cluster: string } {
    const document = {
      apiVersion: 'fairlead.dev/v1alpha1',
      kind: 'ContainerApp',
      metadata: { name: 'a', namespace: 'b' },
      spec: { image: 'a.example/b:1', ...SAMPLES[field] },
    }
    const app = buildApp(document, 'default')
    return { local: verdict(localSupportIssues(app)), cluster: verdict(clusterSupportIssues(app)) }
  }

  test.each(rows)('$field: $local on one host, $cluster on a cluster', ({ field, local, cluster }) => {
    expect(Object.keys(SAMPLES)).toContain(field)
    expect(verdicts(field)).toEqual({ local, cluster })
  })

  test('are all that the engines treat in their own way', () => {
    const code = sourceFiles('src/reconcile')
      .filter(({ path: name }) => /(?:local-support|kubernetes\/support)\.ts$/.test(name))
      .map((file) => file.code)
      .join('\n')
    const treated = [...code.matchAll(/['`](spec\.[A-Za-z${}[\].]+)['`]/g)].map((match) =>
      (match[1] ?? '').replaceAll(/\[\$\{\w+\}\]/g, '[]').replaceAll(/\$\{\w+\}/g, 'NAME'),
    )
    expect(treated.length).toBeGreaterThan(10)
    expect([...new Set(treated)].toSorted()).toEqual(rows.map(({ field }) => field).toSorted())
  })
})

/** Every metric of a controller that has done everything once, with the labels that it has. */
function metricLabels(): ReadonlyMap<string, ReadonlySet<string>> {
  const metrics = new ControllerMetrics({
    controller: 'containerapp',
    lease: 'fairlead-controller',
    apps: () => ({ True: 1, False: 0, Unknown: 0 }),
    registries: () => [
      { host: 'h', remaining: 1, limit: 2, pauseMs: 0, backgroundPauseMs: 0, isResting: false },
    ],
  })
  metrics.watchQueue({
    width: 1,
    working: 0,
    depth: () => 0,
    unfinishedMs: () => 0,
    longestRunningMs: () => 0,
  })
  metrics.requested({ method: 'GET', host: 'h', code: '200' })
  metrics.relisted('Pod')
  metrics.reconnected('Pod')
  const labels = new Map<string, Set<string>>()
  for (const line of metrics
    .text()
    .split('\n')
    .filter((text) => !text.startsWith('#') && text !== '')) {
    const [, name = '', inside = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? []
    const known = labels.get(name) ?? new Set()
    for (const [, label = ''] of inside.matchAll(/(\w+)="/g)) known.add(label)
    labels.set(name, known)
  }
  return labels
}

const METRICS = metricLabels()

describe('metrics', () => {
  test('are listed, each of them', () => {
    const families = new Set([...METRICS.keys()].map((name) => name.replace(/_(?:bucket|sum|count)$/, '')))
    expect(namesIn(OPERATIONS, 'Health, logs and metrics').toSorted()).toEqual([...families].toSorted())
  })
})

describe('alerts', () => {
  const groups = itemsOf(
    fieldsOf(fieldsOf(parse(readText('examples/monitoring/alerts.yaml')))['spec'])['groups'],
  )
  const rules = groups.flatMap((group) => itemsOf(fieldsOf(group)['rules']).map(fieldsOf))
  const named = rules.map((rule) => ({
    alert: textOf(rule['alert']) ?? '',
    expr: textOf(rule['expr']) ?? '',
  }))

  /** Words of PromQL that are no metric. */
  const WORDS = new Set(['absent', 'and', 'by', 'histogram_quantile', 'increase', 'max', 'on', 'rate', 'sum'])
  /** What Prometheus itself puts on every series. */
  const TARGET_LABELS = new Set(['instance', 'job', 'le'])

  /** Names in an expression that no series has; also what is not closed. */
  function strangers(expr: string): readonly string[] {
    const bare = expr.replaceAll(/"[^"]*"/g, '""').replaceAll(/\[\d+[smh]\]/g, '')
    const selectors = [...bare.matchAll(/(\w+)\{([^}]*)\}/g)]
    const badLabels = selectors.flatMap(([, name = '', inside = '']) =>
      [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)]
        .map((match) => match[1] ?? '')
        .filter((label) => !(METRICS.get(name) ?? TARGET_LABELS).has(label)),
    )
    const grouped = [...bare.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap((match) =>
      (match[1] ?? '').split(/,\s*/).filter((label) => !TARGET_LABELS.has(label)),
    )
    const rest = bare.replaceAll(/\{[^}]*\}/g, '').replaceAll(/\b(?:by|on) \([^)]*\)/g, '')
    const words = (rest.match(/\b[A-Za-z_]\w*/g) ?? []).filter(
      (word) => !METRICS.has(word) && !WORDS.has(word),
    )
    const open = bare.split('(').length - bare.split(')').length
    return [...badLabels, ...grouped, ...words, ...(open === 0 ? [] : ['unbalanced parentheses'])]
  }

  test.each(named)('$alert asks for series that the controller has', ({ expr }) => {
    expect(strangers(expr)).toEqual([])
  })

  test.each([
    'max(fairlead_app{ready="False"}) > 0',
    'max(fairlead_apps{state="False"}) > 0',
    'sum by (pod) (fairlead_apps)',
    'sum(rate(workqueue_adds_total[5m])',
  ])('would be found out: %s', (expr) => {
    expect(strangers(expr)).not.toEqual([])
  })

  test('each have a row that says what to do', () => {
    expect(namesIn(OPERATIONS, 'Alerts').filter((name) => /^Fairlead[A-Z]/.test(name))).toEqual(
      named.map(({ alert }) => alert),
    )
  })
})

describe('roles', () => {
  test('are listed, each of them', () => {
    const rows = tableRows(page(OPERATIONS), 'Rights').map(([cell = '']) => cell.replaceAll('`', ''))
    expect(rows.toSorted()).toEqual(ROLES.map(({ name }) => `fairlead-${name}`).toSorted())
  })
})

describe('tested versions', () => {
  const rows = new Map(
    tableRows(page(OPERATIONS), 'Tested versions').map(([name = '', version = '']) => [
      name.replace(/ \(.*/, ''),
      version,
    ]),
  )

  function versionIn(module: string, file: string): string | undefined {
    const text = readText('test/cluster/modules', file, 'go.mod')
    return new RegExp(`^\\s*${module.replaceAll('.', '\\.')} v(\\S+)`, 'm').exec(text)?.[1]
  }

  test.each([
    ['Kubernetes', 'k8s.io/kubernetes', 'kube'],
    ['etcd', 'go.etcd.io/etcd/server/v3', 'tools'],
    ['containerd', 'github.com/containerd/containerd/v2', 'tools'],
    ['CNI plugins', 'github.com/containernetworking/plugins', 'tools'],
    ['CoreDNS', 'github.com/coredns/coredns', 'coredns'],
    ['Helm', 'helm.sh/helm/v4', 'tools'],
    ['Argo CD', 'github.com/argoproj/argo-cd/v3', 'argocd'],
  ])('%s is what the test bed is built from', (name, module, file) => {
    expect(versionIn(module, file)).toBeDefined()
    expect(rows.get(name)).toBe(versionIn(module, file))
  })

  test('are no others', () => {
    expect(rows.size).toBe(7)
  })
})

describe('values of the chart', () => {
  const values = parse(readText('charts/fairlead/values.yaml')) as Fields

  function isValue(key: string): boolean {
    let at: unknown = values
    for (const part of key.split('.')) {
      if (!Object.hasOwn(fieldsOf(at), part)) return false
      at = fieldsOf(at)[part]
    }
    return true
  }

  const set = blocks
    .filter(({ block }) => block.language === 'sh')
    .flatMap(({ at, block }) =>
      commandLines(block.text)
        .filter(([program]) => program === 'helm')
        .flatMap((words) =>
          words.flatMap((word, index) =>
            /^--set(?:-string|-file|-json)?$/.test(words[index - 1] ?? '')
              ? [{ at, key: word.split('=')[0] ?? '' }]
              : [],
          ),
        ),
    )

  test('are there', () => {
    expect(set.length).toBeGreaterThan(2)
    expect(isValue('watch.namespace')).toBe(false)
  })

  test.each(set)('$at: $key', ({ key }) => {
    expect(isValue(key)).toBe(true)
  })

  test('in running text exist as well', () => {
    const tops = new Set(Object.keys(values))
    const spans = ['docs/kubernetes.md', OPERATIONS, 'docs/installation.md']
      .flatMap((name) => all.find((candidate) => candidate.path === name) ?? [])
      .flatMap((from) => codeSpans(from))
      .map((span) => /^([a-z]\w*(?:\.\w+)+)(?:=.*)?$/.exec(span)?.[1] ?? '')
      .filter((key) => tops.has(key.split('.')[0] ?? '') && !key.startsWith('service.'))
    expect(spans.length).toBeGreaterThan(5)
    expect(spans.filter((key) => !isValue(key))).toEqual([])
  })
})

describe('objects of other kinds', () => {
  const documents = blocks
    .filter(({ block }) => block.language === 'yaml' && /^kind: (?!ContainerApp)/m.test(block.text))
    .flatMap(({ at, block }) =>
      parseAllDocuments(block.text).map((document) => ({ at, object: fieldsOf(document.toJS()) })),
    )

  test('are there', () => {
    expect(documents.length).toBeGreaterThan(3)
  })

  test.each(documents)('$at is a whole object', ({ object }) => {
    expect(textOf(object['apiVersion'])).toBeDefined()
    expect(textOf(object['kind'])).toBeDefined()
    expect(textOf(fieldsOf(object['metadata'])['name'])).toBeDefined()
  })
})

describe('the registries file', () => {
  const text = blocks.find(({ block }) => block.text.startsWith('# registries.yaml'))?.block.text ?? ''

  test('is taken as documented, but for the kubelet file that it names', () => {
    const { credentialProviders, ...rest } = parse(text) as Fields
    expect(fieldsOf(credentialProviders)).toEqual({ config: expect.any(String), binDir: expect.any(String) })
    expect(parseImagesConfig(rest, 'registries.yaml').layouts).toEqual([
      { prefix: 'registry.example.com/airgap/', path: '/var/lib/layouts' },
    ])
  })

  test('has a row for each of its settings', () => {
    const settings = tableRows(page(OPERATIONS), 'Registries').map(([cell = '']) => cell.replaceAll('`', ''))
    expect(settings.toSorted()).toEqual(Object.keys(parse(text) as Fields).toSorted())
  })
})

describe('options of the controller', () => {
  test('are in the table, each of them that is for clusters', () => {
    const code = readText('src/cli/tree/controller.ts')
    const options = [...code.matchAll(/flags: '(--[\w-]+)/g)].map((match) => match[1] ?? '')
    const named = namesIn(OPERATIONS, 'Settings of the controller')
    expect(options.length).toBeGreaterThan(10)
    expect(
      options.filter((flag) => !['--engine', '--runtime', '--exit-when-idle', ...named].includes(flag)),
    ).toEqual([])
    expect(named.filter((flag) => !readTree().includes(flag))).toEqual([])
  })

  /** Options that several commands share are in files beside. */
  function readTree(): string {
    return readdirSync(path.join(ROOT, 'src/cli/tree'))
      .map((name) => readText('src/cli/tree', name))
      .join('\n')
  }
})

describe('events', () => {
  test('are listed, each that is no warning', () => {
    const code =
      sourceFiles('src/reconcile').find(({ path: name }) => name.endsWith('/events.ts'))?.code ?? ''
    const reasons = [...code.matchAll(/normal\('([A-Z]\w+)'/g)].map((match) => match[1] ?? '')
    expect(reasons.length).toBeGreaterThan(4)
    expect(namesIn('docs/kubernetes.md', 'Seeing how it goes').toSorted()).toEqual(
      [...new Set(reasons)].toSorted(),
    )
  })
})
