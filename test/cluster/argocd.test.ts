/**
 * ContainerApps in the hands of a real Argo CD (issue 4, proof 2): it sees when they are healthy and why not, waits for them,
 * heals and prunes them, and never has to fight. Fairlead runs with the rights of its manifests; pods are stubs.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { clusterBinaries } from '../../scripts/lib/cluster-binaries.ts'
import { mustRun } from '../../scripts/lib/run.ts'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT } from '../../src/crd/labels.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { startArgoCd, type ArgoCd } from './bed/argocd.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'
import { anApp, APP_IMAGE, StubbedFairlead } from './support/stubbed-fairlead.ts'

type App = KubeObject & { readonly spec: Readonly<Record<string, unknown>>; readonly status?: AppStatus }

const SNIPPET = path.join(import.meta.dirname, '../../argocd/argocd-cm.yaml')
const POLL = { timeout: 60_000, interval: 200 }
/** The promise is five minutes of silence (300); that is long for every day. */
const QUIET_SECONDS = Number(process.env['FAIRLEAD_QUIET_SECONDS'] ?? '75')
const SYNCED = { sync: 'Synced', health: 'Healthy' } as const
/** As docs/installation.md asks for it. */
const SERVER_SIDE = {
  spec: {
    syncPolicy: {
      automated: { prune: true, selfHeal: true },
      syncOptions: ['CreateNamespace=true', 'ServerSideApply=true'],
    },
  },
}

/** Argo CD tries a failed sync again; without `refresh` it would try the old commit five times before it takes a new one. */
const RETRYING = {
  spec: {
    syncPolicy: {
      ...SERVER_SIDE.spec.syncPolicy,
      retry: { limit: 5, refresh: true, backoff: { duration: '1s', factor: 2, maxDuration: '5s' } },
    },
  },
}

describe.skipIf(await isControlPlaneMissing())('Argo CD', () => {
  let fairlead: StubbedFairlead
  let argo: ArgoCd

  beforeAll(async () => {
    fairlead = await StubbedFairlead.start()
    const { data } = parse(await readFile(SNIPPET, 'utf8')) as { data: Record<string, string> }
    argo = await startArgoCd(fairlead.plane, { config: data })
  })

  afterAll(async () => await fairlead[Symbol.asyncDispose]())

  const kubectl = (...args: readonly string[]) => fairlead.plane.kubectl(args)
  const app = (namespace: string, name: string) => fairlead.object<App>(namespace, 'capp', name)
  const exists = async (namespace: string, name: string) =>
    (await kubectl('get', 'capp', '-n', namespace, name, '--ignore-not-found', '-o', 'name')) !== ''
  /** Commits the resources as one file each; undefined removes one. */
  const push = async (folder: string, apps: Readonly<Record<string, unknown>>) => {
    const files = Object.entries(apps).map(([name, object]) => [
      `${folder}/${name}.yaml`,
      object === undefined ? undefined : JSON.stringify(object),
    ])
    return await argo.commit(Object.fromEntries(files) as Record<string, string | undefined>)
  }
  const until = (name: string, wanted: Parameters<ArgoCd['untilStatus']>[1]) =>
    argo.untilStatus(name, wanted, 90_000).catch((error: unknown) => {
      throw new Error(fairlead.controller.log.slice(-3000), { cause: error })
    })

  test.each([
    ['server', SERVER_SIDE],
    ['client', {}],
  ])('finds apps Synced and Healthy, applied by the %s', async (name, options) => {
    await push(name, { one: anApp('one'), two: anApp('two', { image: `${APP_IMAGE}:plain` }) })
    await argo.application(name, name, options)
    const { resources } = await until(name, SYNCED)
    expect(resources.map(({ kind }) => kind)).toEqual(['ContainerApp', 'ContainerApp'])
    expect(await fairlead.condition(name, 'one', 'Ready')).toMatchObject({ status: 'True' })
    const children = await kubectl('get', 'sts,deploy,svc,pvc,pods', '-n', name, '-o', 'json')
    expect(children).not.toMatch(
      /argocd\.argoproj\.io\/(tracking-id|instance)|app\.kubernetes\.io\/instance": "server/,
    )
  })

  test('tells a failing image as Degraded with the reason, and is Healthy when it is mended', async () => {
    await push('failing', { bad: anApp('bad', { image: `${APP_IMAGE}:broken` }) })
    await argo.application('failing', 'failing', SERVER_SIDE)
    const { resources } = await until('failing', { sync: 'Synced', health: 'Degraded' })
    expect(resources).toMatchObject([
      {
        name: 'bad',
        health: { status: 'Degraded', message: expect.stringMatching(/^ExecNotFound: .*\/nothing/) },
      },
    ])
    const revision = await push('failing', { bad: anApp('bad') })
    await argo.refresh('failing')
    await until('failing', { ...SYNCED, revision })
  })

  test('does not begin a wave before the apps of the one before are Ready', async () => {
    const wave = (number: number) => ({ annotations: { 'argocd.argoproj.io/sync-wave': String(number) } })
    const second = anApp('second', {}, wave(1))
    await push('waves', { first: anApp('first', { image: `${APP_IMAGE}:broken` }, wave(0)), second })
    await argo.application('waves', 'waves', RETRYING)
    await until('waves', { health: 'Degraded' })
    const ended = async () => (await argo.status('waves')).messages.join('\n')
    await expect.poll(ended, POLL).toMatch(/unsuccessful|failed|waiting/i)
    expect(await exists('waves', 'second')).toBe(false)

    const revision = await push('waves', { first: anApp('first', {}, wave(0)) })
    await argo.refresh('waves')
    await until('waves', { ...SYNCED, revision })
    const ready = await fairlead.condition('waves', 'first', 'Ready')
    const { metadata } = await app('waves', 'second')
    expect(Date.parse(String(metadata['creationTimestamp']))).toBeGreaterThanOrEqual(
      Math.floor(Date.parse(ready?.lastTransitionTime ?? '') / 1000) * 1000,
    )
  })

  test("undoes a user's change, and Fairlead follows", async () => {
    await kubectl('patch', 'capp', '-n', 'server', 'two', '--type=merge', '-p', '{"spec":{"image":"x/y:1"}}')
    await expect.poll(async () => (await app('server', 'two')).spec['image'], POLL).toBe(`${APP_IMAGE}:plain`)
    await until('server', SYNCED)
    await kubectl('scale', 'deployment/two', '-n', 'server', '--replicas=4')
    const replicas = () => kubectl('get', 'deployment/two', '-n', 'server', '-o', 'jsonpath={.spec.replicas}')
    await expect.poll(replicas, POLL).toBe('1')
    // The pods that came and go make it Progressing for a moment.
    await until('server', SYNCED)
  })

  test('takes nothing back of what an action asked for: resolve and restart', async () => {
    const ask = async (action: string, annotation: string) => {
      const at = await runAction(fairlead, action, await app('server', 'one'), annotation)
      await kubectl('annotate', 'capp', '-n', 'server', 'one', `${annotation}=${at}`, '--overwrite')
      return at
    }
    const resolved = await ask('resolve', RESOLVE_REQUESTED_AT)
    await expect
      .poll(async () => (await app('server', 'one')).status?.lastHandledRequest, POLL)
      .toBe(resolved)
    const pods = () =>
      kubectl('get', 'pods', '-n', 'server', '-l', 'fairlead.dev/app=one', '-o', 'jsonpath={..metadata.uid}')
    const before = await pods()
    await ask('restart', RESTART_REQUESTED_AT)
    await expect.poll(pods, POLL).not.toContain(before)
    await argo.refresh('server')
    await until('server', SYNCED)
    const { annotations } = (await app('server', 'one')).metadata
    for (const annotation of [RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT])
      expect(annotations).toHaveProperty([annotation])
  })

  test('prunes an app that left the repository, and never its data', async () => {
    const claims = () =>
      kubectl(
        'get',
        'pvc',
        '-n',
        'server',
        '-l',
        'fairlead.dev/app=one',
        '-o',
        'jsonpath={.items[*].metadata.uid}',
      )
    const before = await claims()
    expect(before).not.toBe('')
    const revision = await push('server', { one: undefined })
    await argo.refresh('server')
    await until('server', { ...SYNCED, revision })
    await expect.poll(() => exists('server', 'one'), POLL).toBe(false)
    await expect.poll(() => kubectl('get', 'sts', '-n', 'server', '-o', 'name'), POLL).toBe('')
    expect(await claims()).toBe(before)

    const back = await push('server', { one: anApp('one') })
    await argo.refresh('server')
    await until('server', { ...SYNCED, revision: back })
    expect(await claims()).toBe(before)
    expect(fairlead.stub.violations).toEqual([])
  })

  test(
    `then nobody writes for ${QUIET_SECONDS} seconds: Fairlead only its Lease`,
    async () => {
      for (const name of ['server', 'client', 'failing', 'waves']) await until(name, SYNCED)
      await settled(fairlead)
      const before = (await fairlead.writes()).length
      const syncs = async () =>
        await kubectl('get', 'capp', '-A', '-o', 'jsonpath={.items[*].metadata.resourceVersion}')
      const versions = await syncs()
      await delay(QUIET_SECONDS * 1000)
      expect((await fairlead.writes()).slice(before)).toEqual([])
      expect(await syncs()).toBe(versions)
      const { status } = await fetch(`http://127.0.0.1:${fairlead.controller.healthPort}/healthz`)
      expect(status).toBe(200)
    },
    (QUIET_SECONDS + 120) * 1000,
  )

  test('nothing was forbidden to Fairlead on the way', async () => {
    expect((await fairlead.writes()).filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([])
    expect(fairlead.controller.log).not.toMatch(/ClusterForbidden|"level":(50|60)/)
  })
})

/** Events are sent a moment late: the beginning of the silence is when the last one is out. */
async function settled(fairlead: StubbedFairlead): Promise<void> {
  let seen = -1
  await expect
    .poll(
      async () => {
        const last = seen
        seen = (await fairlead.writes()).length
        return seen === last
      },
      { timeout: 60_000, interval: 3000 },
    )
    .toBe(true)
}

/** What Argo CD's own program makes of the resource by the action; the annotation's new value. */
async function runAction(
  fairlead: StubbedFairlead,
  action: string,
  resource: App,
  annotation: string,
): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-action-'))
  try {
    const file = path.join(folder, 'app.json')
    await writeFile(file, JSON.stringify(resource))
    const command = ['admin', 'settings', 'resource-overrides', 'run-action', file, action]
    const env = { ARGOCD_BINARY_NAME: 'argocd', KUBECONFIG: fairlead.plane.adminKubeconfig, HOME: folder }
    const { argocd } = await clusterBinaries()
    const said = await mustRun(argocd, [...command, '--argocd-cm-path', SNIPPET], { env })
    const [, value = ''] = new RegExp(`^> +${annotation}: "([^"]+)"$`, 'm').exec(said) ?? []
    expect(said).toContain(`${annotation}: "`)
    return value
  } finally {
    await rm(folder, { recursive: true })
  }
}
