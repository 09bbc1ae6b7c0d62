/**
 * Fairlead as administrators install it (issue 4, proof 1): the real image by the chart and by the manifests, upgraded,
 * killed, doubled, taken away and brought back, while an app runs on and is never restarted.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROLES } from '../../src/crd/publish/rbac.ts'
import type { AuditEvent } from './bed/audit.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { anApp, CONTROLLER, InstallBed, MANIFESTS } from './support/installed.ts'

const SYSTEM = 'fairlead-system'
const CHAT = 'chat'
const APP = 'mattermost'
const POLL = { timeout: 60_000, interval: 200 }
/** Passes over apps that a controller has done. */
const RECONCILED = /^controller_runtime_reconcile_total\{[^}]*\} [1-9]/m
const PLUGIN = '/mattermost/plugins/hello/plugin'

// Its own cluster: a controller of the whole cluster would take the apps of other tests.
describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)(
  'an installed Fairlead',
  () => {
    let installed: InstallBed
    let running: readonly string[]

    beforeAll(async () => {
      installed = await InstallBed.start()
      await installed.restrictedNamespace(SYSTEM)
      await installed.kubectl('create', 'namespace', CHAT)
    })

    afterAll(async () => await installed[Symbol.asyncDispose]())

    const controllers = () => installed.pods(SYSTEM, CONTROLLER)
    const ask = async (port: number, where: string) => {
      const [pod] = await controllers()
      return await fetch(`http://${pod?.status.podIP ?? ''}:${port}${where}`)
    }
    const metrics = async () => await (await ask(8080, '/metrics')).text()
    const appRuns = () => installed.appPods(CHAT, APP)
    /** Empty while the app's pod is still the one of the beginning; else who did what. */
    const disturbed = async () =>
      (await appRuns()).join() === running.join() ? '' : await installed.steps(SYSTEM, `${CHAT}/${APP}`)
    const uninstalled = (namespace: string) =>
      installed.bed.helm(['uninstall', 'fairlead', '-n', namespace, '--wait', '--ignore-not-found'])
    const claims = async () =>
      (await installed.kubectl('get', 'pvc', '-n', CHAT, '-o', 'jsonpath={.items[*].metadata.uid}'))
        .split(' ')
        .toSorted()

    test('comes by helm install into a namespace with restricted Pod Security, and runs an app', async () => {
      await installed.helm('install', SYSTEM, {})
      await installed.apply(
        anApp(CHAT, APP, {
          image: installed.demo,
          ports: [{ name: 'http', port: 8065 }],
          volumeDefaults: { size: '1Gi' },
          terminationGracePeriodSeconds: 5,
        }),
      )
      await installed.untilReady(CHAT, APP)
      const pod = (
        await installed.kubectl('get', 'pods', '-n', CHAT, '-l', 'fairlead.dev/component=app', '-o', 'name')
      ).trim()
      expect(await installed.kubectl('exec', '-n', CHAT, pod, '--', PLUGIN)).toContain(
        'hello: shipped in the image',
      )
      running = await appRuns()
      expect(running).toHaveLength(1)
      expect(await claims()).toHaveLength(5)
    })

    test('helm test passes and leaves nothing behind', async () => {
      const said = await installed.bed
        .helm(['test', 'fairlead', '-n', SYSTEM, '--timeout', '180s'])
        .catch(async (error: unknown) => {
          throw new Error(await installed.situation(SYSTEM), { cause: error })
        })
      expect(said).toMatch(/Phase: +Succeeded/)
      const left = () => installed.kubectl('get', 'capp,sts,deploy,pvc,svc', '-n', SYSTEM, '-o', 'name')
      await expect.poll(left, POLL).not.toContain('fairlead-test')
    })

    test('answers for its health and its metrics', async () => {
      expect((await ask(8081, '/healthz')).status).toBe(200)
      expect((await ask(8081, '/readyz')).status).toBe(200)
      const text = await metrics()
      expect(text).toMatch(RECONCILED)
      expect(text).toMatch(/^workqueue_depth\{/m)
    })

    test('helm upgrade with other values and another tag restarts the controller and no app', async () => {
      const before = await controllers()
      const wrote = async () => (await installed.writes(SYSTEM)).filter(isOnPods)
      const earlier = (await wrote()).length
      await installed.helm('upgrade', SYSTEM, {
        image: { repository: installed.repository, tag: 'second' },
        defaultVolumeSize: '20Gi',
        podAnnotations: { changed: 'yes' },
      })
      const after = await controllers()
      expect(after.map(({ metadata }) => metadata.uid)).not.toEqual(
        before.map(({ metadata }) => metadata.uid),
      )
      await expect.poll(metrics, POLL).toMatch(RECONCILED)
      expect((await wrote()).slice(earlier)).toEqual([])
      await installed.untilServed(CHAT, APP, 'upgraded')
      expect(await disturbed()).toBe('')
    })

    test('goes on where a killed controller was', async () => {
      const [{ metadata } = { metadata: { name: '' } }] = await controllers()
      await installed.rememberLog(SYSTEM)
      await installed.kubectl('delete', 'pod', '-n', SYSTEM, metadata.name, '--grace-period=0', '--force')
      await installed.untilServed(CHAT, APP, 'killed')
      expect(await disturbed()).toBe('')
    })

    test('of two replicas one leads; the other takes over from one that leaves and from one that is killed', async () => {
      await installed.helm('upgrade', SYSTEM, { replicas: 2 })
      expect(await installed.kubectl('get', 'pdb', '-n', SYSTEM, '-o', 'name')).toContain('fairlead')
      const leader = async () => (await installed.holder(SYSTEM)).split('_')[0] ?? ''
      const names = async () => (await controllers()).map(({ metadata }) => metadata.name)
      await expect.poll(async () => (await names()).includes(await leader()), POLL).toBe(true)
      for (const how of [['--grace-period=30'], ['--grace-period=0', '--force']]) {
        const first = await leader()
        await installed.rememberLog(SYSTEM)
        await installed.kubectl('delete', 'pod', '-n', SYSTEM, first, '--wait=false', ...how)
        await expect.poll(async () => ![first, ''].includes(await leader()), POLL).toBe(true)
        await installed.untilServed(CHAT, APP, `led-${how.length}`)
      }
      expect(await disturbed()).toBe('')
    })

    test('has the rights that it needs, and writes nothing beyond them', async () => {
      const writes = await installed.writes(SYSTEM)
      expect(writes.length).toBeGreaterThan(10)
      expect(writes.filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([])
      expect(await installed.log(SYSTEM)).not.toMatch(
        /"reason":"(ClusterForbidden|InternalError)"|"level":(50|60)/,
      )
      expect([...new Set(writes.map(rightOf))].filter((right) => !GRANTED.has(right))).toEqual([])
    })

    test('helm uninstall leaves CRD, apps and data; the next install takes them over', async () => {
      const kept = await claims()
      await installed.rememberLog(SYSTEM)
      await uninstalled(SYSTEM)
      expect(await installed.kubectl('get', 'capp', '-n', CHAT, '-o', 'name')).toContain(APP)
      expect(await installed.kubectl('get', 'clusterroles,clusterrolebindings', '-o', 'name')).not.toContain(
        SYSTEM,
      )
      await installed.helm('install', SYSTEM, {}, '--take-ownership')
      await installed.untilServed(CHAT, APP, 'installed again')
      expect([await appRuns(), await claims()]).toEqual([running, kept])
      await uninstalled(SYSTEM)
    })

    test('in some namespaces only, without a right beyond them, it runs apps with careful defaults', async () => {
      await uninstalled(SYSTEM)
      await installed.restrictedNamespace('team-system')
      for (const name of ['team', 'others']) await installed.kubectl('create', 'namespace', name)
      await installed.helm('install', 'team-system', {
        watch: { namespaces: ['team'] },
        crds: { install: false },
      })
      expect(await installed.kubectl('get', 'clusterroles', '-o', 'name')).not.toContain('team-system')
      const spec = {
        image: installed.demo,
        volumeDefaults: { size: '1Gi' },
        terminationGracePeriodSeconds: 5,
      }
      await installed.apply(anApp('team', APP, spec), anApp('others', APP, spec))
      await installed.untilReady('team', APP).catch(async (error: unknown) => {
        throw new Error(await installed.situation('team-system'), { cause: error })
      })
      expect(await installed.kubectl('get', 'sts,pods,pvc', '-n', 'others', '-o', 'name')).toBe('')
      const others = (await installed.writes('team-system')).filter(
        ({ objectRef }) => !['team', 'team-system'].includes(objectRef?.namespace ?? 'team-system'),
      )
      expect(others).toEqual([])
    })

    test('comes by kubectl apply -k as well, with an overlay that names the image', async () => {
      for (const namespace of [SYSTEM, 'team-system']) await uninstalled(namespace)
      const overlay = await mkdtemp(path.join(tmpdir(), 'fairlead-overlay-'))
      try {
        await writeFile(
          path.join(overlay, 'kustomization.yaml'),
          JSON.stringify(overlayOf(installed, overlay)),
        )
        await installed.kubectl('apply', '--server-side', '--force-conflicts', '-k', overlay)
        await installed.kubectl('rollout', 'status', '-n', SYSTEM, 'deployment/fairlead', '--timeout=120s')
        await installed.untilServed(CHAT, APP, 'applied')
        expect(await disturbed()).toBe('')
      } finally {
        await rm(overlay, { recursive: true })
      }
    })
  },
)

/** `GROUP/RESOURCE VERB` of everything that the manifests give the controller. */
const GRANTED = new Set(
  ROLES.filter(({ scope }) => scope !== 'people').flatMap(({ rules }) =>
    rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((name) => verbs.map((verb) => `${group}/${name} ${verb}`)),
      ),
    ),
  ),
)

/** A write to an app's workload or to its pods. */
function isOnPods({ objectRef }: AuditEvent): boolean {
  return objectRef?.namespace === CHAT && ['statefulsets', 'pods'].includes(objectRef.resource)
}

function rightOf({ verb, objectRef }: AuditEvent): string {
  const { apiGroup = '', resource = '', subresource } = objectRef ?? {}
  return `${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`} ${verb}`
}

/** As docs/installation.md tells it, with the bed's registry as one that speaks plain http. */
function overlayOf({ repository, registries }: InstallBed, folder: string): Record<string, unknown> {
  const image = 'spec.template.spec.containers.[name=controller].image'
  const env = 'spec.template.spec.containers.[name=controller].env.[name=FAIRLEAD_IMAGE].value'
  const deployment = { kind: 'Deployment', name: 'fairlead' }
  const container = '/spec/template/spec/containers/0'
  const add = (at: string, value: unknown) => ({ op: 'add', path: at, value })
  const patch = [
    add(`${container}/args/-`, '--registries-config=/etc/fairlead/registries/registries.yaml'),
    add(`${container}/volumeMounts/-`, { name: 'registries', mountPath: '/etc/fairlead/registries' }),
    add('/spec/template/spec/volumes/-', { name: 'registries', configMap: { name: 'registries' } }),
  ]
  return {
    resources: [path.relative(folder, MANIFESTS)],
    namespace: SYSTEM,
    images: [{ name: 'registry.fairlead.dev/fairlead', newName: repository, newTag: 'first' }],
    replacements: [
      { source: { ...deployment, fieldPath: image }, targets: [{ select: deployment, fieldPaths: [env] }] },
    ],
    patches: [{ target: deployment, patch: JSON.stringify(patch) }],
    configMapGenerator: [
      {
        name: 'registries',
        literals: [`registries.yaml=${JSON.stringify(registries)}`],
        options: { disableNameSuffixHash: true },
      },
    ],
  }
}
