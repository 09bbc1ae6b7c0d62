/** The chart, rendered by the real Helm. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run } from '../../scripts/lib/run.ts'
import { CONTROLLER_COMMAND } from '../../src/cli/tree/controller.ts'
import { crdObject } from '../../src/crd/publish/crd.ts'
import { ROLES } from '../../src/crd/publish/rbac.ts'
import { fieldsOf, itemsOf, textOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'
import { CHART, documentsOf, HELM, isToolMissing, nameOf, ofKind, ROOT, runTool } from './tools.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

async function render(...values: readonly string[]): Promise<readonly Fields[]> {
  return documentsOf(await renderText(...values))
}

async function renderText(...values: readonly string[]): Promise<string> {
  const sets = values.flatMap((value) => ['--set', value])
  return await runTool(HELM, 'template', 'fairlead', CHART, '--namespace', 'fairlead-system', ...sets)
}

/** A CRD is 1500 lines that other tests look after. */
function withoutCrdBody(text: string): string {
  return text.replace(/(kind: CustomResourceDefinition\n(?:.*\n)*?)spec:\n(?:.*\n)*?(?=---\n)/, '$1spec: …\n')
}

function podOf(objects: readonly Fields[]): Fields {
  const [deployment = {}] = ofKind(objects, 'Deployment')
  return fieldsOf(fieldsOf(fieldsOf(deployment['spec'])['template'])['spec'])
}

function containerOf(objects: readonly Fields[]): Fields {
  return fieldsOf(itemsOf(podOf(objects)['containers'])[0])
}

function argumentsOf(objects: readonly Fields[]): readonly unknown[] {
  return itemsOf(containerOf(objects)['args'])
}

describe.skipIf(isToolMissing(HELM))('the chart', () => {
  test('passes helm lint in its strict mode', async () => {
    expect(await runTool(HELM, 'lint', '--strict', CHART)).toContain('0 chart(s) failed')
  })

  test.each([
    ['default', []],
    ['namespaced', ['watch.namespaces={chat,blog}', 'pullSecrets.namespaces={chat}']],
    ['no-crds', ['crds.install=false', 'replicas=2', 'networkPolicy.create=true']],
  ])('renders %s as before', async (name, values) => {
    const text = withoutCrdBody(await renderText(...values))
    await expect(text).toMatchFileSnapshot(`golden/${name}.txt`)
  })

  test('carries the CRD as it is, kept and switchable', async () => {
    const [crd = {}] = ofKind(await render(), 'CustomResourceDefinition')
    expect(crd['spec']).toEqual(crdObject()['spec'])
    expect(fieldsOf(fieldsOf(crd['metadata'])['annotations'])).toEqual({ 'helm.sh/resource-policy': 'keep' })
    const [loose = {}] = ofKind(await render('crds.keep=false'), 'CustomResourceDefinition')
    expect(fieldsOf(loose['metadata'])['annotations']).toBeUndefined()
    expect(ofKind(await render('crds.install=false'), 'CustomResourceDefinition')).toEqual([])
  })

  test('runs the same pod as manifests/', async () => {
    const manifest = podOf(documentsOf(readFileSync(join(ROOT, 'manifests/deployment.yaml'), 'utf8')))
    const spread = [expect.objectContaining({ topologyKey: 'kubernetes.io/hostname' })]
    expect(podOf(await render())).toEqual({ ...manifest, topologySpreadConstraints: spread })
  })

  test('gives preflight pods the image of the controller, by tag or by digest', async () => {
    for (const [values, image] of [
      [['image.repository=r.example.org/f', 'image.tag=v9'], 'r.example.org/f:v9'],
      [
        ['image.repository=r.example.org/f', 'image.tag=v9', `image.digest=${DIGEST}`],
        `r.example.org/f@${DIGEST}`,
      ],
    ] as const) {
      const container = containerOf(await render(...values))
      expect(container['image']).toBe(image)
      expect(itemsOf(container['env'])).toContainEqual({ name: 'FAIRLEAD_IMAGE', value: image })
      expect(itemsOf(container['args'])).toContain('--preflight-image=$(FAIRLEAD_IMAGE)')
    }
  })

  test('has the rules of rbac.ts in every mode', async () => {
    for (const objects of [
      await render(),
      await render('watch.namespaces={a,b}', 'pullSecrets.namespaces={a}'),
    ]) {
      const roles = [...ofKind(objects, 'ClusterRole'), ...ofKind(objects, 'Role')].filter(
        (role) => !nameOf(role).endsWith('-test'),
      )
      expect(roles.length).toBeGreaterThan(3)
      for (const role of roles) {
        const known = ROLES.find(({ name }) => nameOf(role).endsWith(`fairlead-${name}`))
        expect(role['rules']).toEqual(known?.rules.map(({ why: _why, ...rule }) => rule))
      }
    }
  })

  test('needs no right beyond its namespaces when they are named', async () => {
    const objects = await render('watch.namespaces={a,b}', 'crds.install=false')
    expect(objects.filter(({ kind }) => String(kind).startsWith('Cluster'))).toEqual([])
    const places = ofKind(objects, 'RoleBinding').map((binding) => [
      nameOf(binding),
      fieldsOf(binding['metadata'])['namespace'],
    ])
    expect(places).toEqual([
      ['fairlead-leader-election', 'fairlead-system'],
      ['fairlead-manager', 'a'],
      ['fairlead-manager', 'b'],
      ['fairlead-test', 'a'],
    ])
    expect(argumentsOf(objects)).toContain('--namespace=a,b')
    const reader = await render('watch.namespaces={a}', 'rbac.clusterReader=true')
    expect(ofKind(reader, 'ClusterRoleBinding').map(nameOf)).toEqual([
      'fairlead-system:fairlead-cluster-reader',
    ])
  })

  test('lets the controller read Secrets only where it is told', async () => {
    const secretRole = 'fairlead-system:fairlead-pull-secrets'
    const refs = (objects: readonly Fields[]) =>
      [...ofKind(objects, 'RoleBinding'), ...ofKind(objects, 'ClusterRoleBinding')]
        .filter((binding) => fieldsOf(binding['roleRef'])['name'] === secretRole)
        .map((binding) => [binding['kind'], fieldsOf(binding['metadata'])['namespace']])
    expect(refs(await render())).toEqual([])
    expect(refs(await render('pullSecrets.namespaces={chat}'))).toEqual([['RoleBinding', 'chat']])
  })

  test('passes on what was asked for', async () => {
    const objects = await render(
      'watch.labelSelector=shard=a',
      'defaultVolumeSize=3Gi',
      'registriesConfig=mirrors: {}',
      'extraCA.configMap=corporate',
      'credentialProvider.configFile=/p/config.yaml',
      'credentialProvider.binDir=/p/bin',
      'extraArgs={--log-level=debug}',
      'preflight.pullSecrets={regcred,other}',
    )
    expect(argumentsOf(objects)).toEqual(
      expect.arrayContaining([
        '--watch-label-selector=shard=a',
        '--default-volume-size=3Gi',
        '--registries-config=/etc/fairlead/registries/registries.yaml',
        '--credential-provider-config=/p/config.yaml',
        '--credential-provider-bin-dir=/p/bin',
        '--log-level=debug',
        '--preflight-pull-secret=regcred,other',
      ]),
    )
    expect(itemsOf(containerOf(objects)['env'])).toContainEqual({
      name: 'NODE_EXTRA_CA_CERTS',
      value: '/etc/fairlead/ca/ca.crt',
    })
    expect(ofKind(objects, 'ConfigMap')[0]?.['data']).toEqual({ 'registries.yaml': 'mirrors: {}\n' })
  })

  // Helm says on stderr that a map can't be laid over a text, though it does so.
  test.each(['--set=registriesConfig=a: 1', '--set-json=registriesConfig={"a":1}'])(
    'takes %s without a warning',
    async (value) => {
      const said = await run(HELM?.[0] ?? '', ['template', 'fairlead', CHART, value])
      expect(said.stderr).toBe('')
      const [config = {}] = ofKind(documentsOf(said.stdout), 'ConfigMap')
      expect(config['data']).toEqual({ 'registries.yaml': 'a: 1\n' })
    },
  )

  test('protects metrics by a flag and the right to ask, both or none', async () => {
    const bindings = (objects: readonly Fields[]) =>
      ofKind(objects, 'ClusterRoleBinding')
        .map(nameOf)
        .filter((name) => name.endsWith('-metrics-auth'))
    const open = await render()
    expect([argumentsOf(open).includes('--metrics-auth'), bindings(open).length]).toEqual([false, 0])
    const closed = await render('metrics.authentication=true', 'watch.namespaces={a}')
    expect([argumentsOf(closed).includes('--metrics-auth'), bindings(closed).length]).toEqual([true, 1])
  })

  test('names only options that the program has', async () => {
    const objects = await render(
      'watch.namespaces={a}',
      'watch.labelSelector=a=b',
      'registriesConfig=a: 1',
      'preflight.pullSecrets={a}',
      'metrics.authentication=true',
      'credentialProvider.configFile=/p/config.yaml',
      'credentialProvider.binDir=/p/bin',
    )
    const known = (CONTROLLER_COMMAND.options ?? []).map(({ flags }) => /--[a-z-]+/.exec(flags)?.[0])
    const used = argumentsOf(objects).filter((word) => String(word).startsWith('--'))
    expect(used.length).toBeGreaterThan(10)
    for (const word of used) expect(known).toContain(/^--[a-z-]+/.exec(String(word))?.[0])
  })

  test('restarts the controller for another registries configuration', async () => {
    const sum = async (value: string) => {
      const [deployment = {}] = ofKind(await render(`registriesConfig=${value}`), 'Deployment')
      const template = fieldsOf(fieldsOf(deployment['spec'])['template'])
      return fieldsOf(fieldsOf(template['metadata'])['annotations'])['checksum/registries']
    }
    expect(textOf(await sum('a: 1'))).toHaveLength(64)
    expect(await sum('a: 1')).not.toBe(await sum('a: 2'))
  })

  test('has a disruption budget only with more than one replica', async () => {
    expect(ofKind(await render(), 'PodDisruptionBudget')).toEqual([])
    expect(ofKind(await render('replicas=2'), 'PodDisruptionBudget')).toHaveLength(1)
  })

  test('tests a shard with an app of the shard', async () => {
    const [app = {}] = ofKind(await render('watch.labelSelector=shard=a\\,tier==web\\,!old'), 'ContainerApp')
    expect(fieldsOf(app['metadata'])['labels']).toMatchObject({ shard: 'a', tier: 'web' })
  })

  test.each([
    ['a misspelt value', 'replica=2', /replica/],
    ['a misspelt value below', 'watch.namespace={a}', /namespace/],
    ['a value of the wrong type', 'replicas=many', /replicas/],
    ['a digest that is none', 'image.digest=sha256:abc', /digest/],
    ['a namespace that cannot be', 'watch.namespaces={A_B}', /namespaces/],
    ['a size that is none', 'defaultVolumeSize=big', /defaultVolumeSize/],
    ['a port of the privileged ones', 'metrics.port=80', /port/],
    [
      'credential providers without a folder',
      'credentialProvider.configFile=/p',
      /binDir|credentialProvider/,
    ],
  ])('refuses %s', async (_what, value, message) => {
    await expect(render(value)).rejects.toThrow(message)
  })

  test('has the version of the package', () => {
    const [chart = {}] = documentsOf(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'))
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(chart).toMatchObject({ version, appVersion: version })
  })

  test('has every value in its schema, and no other', () => {
    const [values = {}] = documentsOf(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as Fields
    // Helm itself sets `global` where the chart is part of another.
    expect(schemaPaths(schema).filter((path) => path !== '.global')).toEqual(valuePaths(values))
  })
})

/** `.image.tag` and the like; maps that may have any key count as one value. */
function schemaPaths(schema: Fields, path = ''): readonly string[] {
  const entries = Object.entries(fieldsOf(schema['properties']))
  if (entries.length === 0 || path === '.resources') return [path]
  return entries.flatMap(([name, child]) => schemaPaths(fieldsOf(child), `${path}.${name}`)).toSorted()
}

function valuePaths(value: unknown, path = ''): readonly string[] {
  const entries = Object.entries(fieldsOf(value))
  if (entries.length === 0 || path === '.resources') return [path]
  return entries.flatMap(([name, child]) => valuePaths(child, `${path}.${name}`)).toSorted()
}
