/** kubectl as its users know it: wait, scale, edit, apply of both kinds, dry runs, restarts, and what is refused. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SHORT_NAME } from '../../src/crd/labels.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'
import { anApp, APP_IMAGE, StubbedFairlead } from './support/stubbed-fairlead.ts'

type Fields = Readonly<Record<string, unknown>>

const NAMESPACE = 'users'
const PLAIN = `${APP_IMAGE}:plain`
const POLL = { timeout: 60_000, interval: 100 }

interface Refused {
  readonly what: string
  readonly spec: Fields
  readonly name?: string
  readonly message: RegExp
}

/** What the schema says of one field; transitions and rules over several fields are in delivery.test.ts. */
const REFUSED: readonly Refused[] = [
  { what: 'no image', spec: { image: undefined }, message: /spec\.image: Required value/ },
  { what: 'an empty image', spec: { image: '' }, message: /spec\.image: Invalid value/ },
  { what: 'a name that no Service can have', name: '1app', spec: {}, message: /metadata\.name: Invalid/ },
  { what: 'a relative path', spec: { volumes: [{ path: 'data' }] }, message: /spec\.volumes\[0\]\.path:/ },
  { what: 'a volume without path', spec: { volumes: [{}] }, message: /spec\.volumes\[0\]\.path: Required/ },
  {
    what: 'a path twice',
    spec: { volumes: [{ path: '/a' }, { path: '/a' }] },
    message: /spec\.volumes\[1\]: Duplicate value/,
  },
  {
    what: 'a size that is no quantity',
    spec: { volumes: [{ path: '/a', size: 'big' }] },
    message: /spec\.volumes\[0\]\.size:/,
  },
  {
    what: 'a word that is not in the list',
    spec: { volumes: [{ path: '/a', retain: 'Forever' }] },
    message: /spec\.volumes\[0\]\.retain: Unsupported value: "Forever": supported values: "Retain", "Delete"/,
  },
  {
    what: 'memory with a claim',
    spec: { volumes: [{ path: '/a', medium: 'Memory', source: { claimName: 'c' } }] },
    message: /spec\.volumes\[0\]\.medium: .*Memory excludes source/,
  },
  {
    what: 'a variable twice',
    spec: { env: [{ name: 'A' }, { name: 'A' }] },
    message: /spec\.env\[1\]: Duplicate value/,
  },
  {
    what: 'two sources of a variable',
    spec: { env: [{ name: 'A', value: 'a', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] },
    message: /spec\.env\[0\]: .*value and valueFrom exclude each other/,
  },
  {
    what: 'ports without names',
    spec: { ports: [{ port: 80 }, { port: 81 }] },
    message: /spec\.ports: .*needs a name of its own/,
  },
  { what: 'a port out of range', spec: { ports: [{ port: 65536 }] }, message: /spec\.ports\[0\]\.port:/ },
  {
    what: 'a probe that asks two ways',
    spec: { probes: { readiness: { tcpSocket: { port: 1 }, exec: { command: ['/x'] } } } },
    message: /spec\.probes\.readiness: .*exactly one of exec, httpGet and tcpSocket/,
  },
  { what: 'fewer than no replicas', spec: { replicas: -1 }, message: /spec\.replicas:/ },
  {
    what: 'an interval shorter than a minute',
    spec: { imagePolicy: { interval: '10s' } },
    message: /spec\.imagePolicy\.interval: .*at least 1m/,
  },
]

describe.skipIf(await isControlPlaneMissing())('kubectl', () => {
  let fairlead: StubbedFairlead
  let folder: string

  const kubectl = (...args: readonly string[]) => fairlead.plane.kubectl(['-n', NAMESPACE, ...args])
  const send = (object: unknown, ...args: readonly string[]) =>
    fairlead.plane.kubectl(['-n', NAMESPACE, ...args, '-f', '-'], { input: object })
  const ready = (name: string) =>
    kubectl('wait', '--for=condition=Ready', `capp/${name}`, '--timeout=60s').catch(
      async (error: unknown) => {
        const words = await kubectl('describe', SHORT_NAME, name)
        throw new Error(`${words}\n${fairlead.controller.log.slice(-3000)}`, { cause: error })
      },
    )
  const app = (name: string) =>
    fairlead.object<KubeObject & { spec: Fields; status: AppStatus }>(NAMESPACE, SHORT_NAME, name)
  const edit = async (name: string, script: string) => {
    const editor = path.join(folder, 'editor')
    await writeFile(editor, `#!/bin/sh\nexec sed -i -e '${script}' "$1"\n`, { mode: 0o755 })
    return fairlead.plane.kubectl(['-n', NAMESPACE, 'edit', SHORT_NAME, name], {
      env: { KUBE_EDITOR: editor },
    })
  }
  const podNames = async (name: string) =>
    (
      await kubectl(
        'get',
        'pods',
        '-l',
        `fairlead.dev/app=${name}`,
        '-o',
        'jsonpath={.items[*].metadata.uid}',
      )
    )
      .split(' ')
      .toSorted()

  beforeAll(async () => {
    fairlead = await StubbedFairlead.start()
    folder = await mkdtemp(path.join(tmpdir(), 'fairlead-kubectl-'))
    await fairlead.plane.kubectl(['create', 'namespace', NAMESPACE])
  })

  afterAll(async () => {
    await fairlead[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  test('wait sees the app become Ready, and get shows what runs', async () => {
    await send(anApp('shown'), 'apply')
    await ready('shown')
    const [titles, row] = (await kubectl('get', SHORT_NAME, 'shown')).trim().split('\n')
    expect(titles?.split(/\s+/)).toEqual(['NAME', 'IMAGE', 'DIGEST', 'READY', 'AGE'])
    const { status } = await app('shown')
    const digest = status.image?.digest.replace('sha256:', '').slice(0, 12)
    expect(row?.split(/\s+/).slice(0, 4)).toEqual(['shown', `${APP_IMAGE}:1`, digest, 'True'])
    expect(await kubectl('get', SHORT_NAME, 'shown', '-o', 'wide')).toContain('REASON')
    expect(await kubectl('describe', SHORT_NAME, 'shown')).toMatch(/Events:[^]*Normal +Ready/)
  })

  test('wait never believes a status of an older spec', async () => {
    await send(anApp('waited', { image: PLAIN }), 'apply')
    await ready('waited')
    await kubectl(
      'patch',
      SHORT_NAME,
      'waited',
      '--type=merge',
      '-p',
      '{"spec":{"env":[{"name":"A","value":"2"}]}}',
    )
    await ready('waited')
    const { metadata, status } = await app('waited')
    expect(status.observedGeneration).toBe(metadata.generation)
    expect(JSON.stringify(await fairlead.object(NAMESPACE, 'deployment', 'waited'))).toContain('"value":"2"')
  })

  test('scale changes the replicas, and the status tells how many there are', async () => {
    await send(anApp('scaled', { image: PLAIN }), 'apply')
    await ready('scaled')
    await kubectl('scale', SHORT_NAME, 'scaled', '--replicas=3')
    await ready('scaled')
    const scale = async () =>
      JSON.parse(await kubectl('get', SHORT_NAME, 'scaled', '--subresource=scale', '-o', 'json'))
    await expect.poll(scale, POLL).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 3 } })
    const { selector } = (await scale()).status as { readonly selector: string }
    expect((await kubectl('get', 'pods', '-l', selector, '-o', 'name')).trim().split('\n')).toHaveLength(3)
    await kubectl('scale', SHORT_NAME, 'scaled', '--replicas=0', '--current-replicas=3')
    await expect.poll(scale, POLL).toMatchObject({ status: { replicas: 0 } })
    expect((await app('scaled')).spec['replicas']).toBe(0)
  })

  test('two managers share a resource by server-side apply, and neither takes from the other', async () => {
    const owner = anApp('shared', { env: [{ name: 'OWNER', value: '1' }] })
    await send(owner, 'apply', '--server-side', '--field-manager=owner')
    const second = anApp('shared', { env: [{ name: 'OTHER', value: '2' }] })
    await send(second, 'apply', '--server-side', '--field-manager=second')
    await ready('shared')
    expect((await app('shared')).spec['env']).toEqual([
      { name: 'OWNER', value: '1' },
      { name: 'OTHER', value: '2' },
    ])
    const other = anApp('shared', { image: `${APP_IMAGE}:2` })
    await expect(send(other, 'apply', '--server-side', '--field-manager=second')).rejects.toThrow(
      /conflict with "owner"[^]*\.spec\.image/,
    )
    // Nothing of ours is in their way: an apply with nothing but their own fields removes them again.
    await send(anApp('shared'), 'apply', '--server-side', '--field-manager=second')
    expect((await app('shared')).spec['env']).toEqual([{ name: 'OWNER', value: '1' }])
  })

  test('client-side apply twice changes nothing, and a field that is left out goes', async () => {
    const full = anApp('client', { env: [{ name: 'A', value: '1' }], terminationGracePeriodSeconds: 5 })
    await send(full, 'apply')
    await ready('client')
    expect(await send(full, 'apply')).toContain('unchanged')
    await send(anApp('client'), 'apply')
    await ready('client')
    const { spec } = await app('client')
    expect(spec).not.toHaveProperty('env')
    const workload = await fairlead.object(NAMESPACE, 'statefulset', 'client')
    expect(JSON.stringify(workload)).not.toContain('last-applied-configuration')
    expect(workload).toMatchObject({ spec: { template: { spec: { terminationGracePeriodSeconds: 30 } } } })
  })

  test('diff of what is applied finds nothing', async () => {
    await send(anApp('same'), 'apply')
    await ready('same')
    expect(await send(anApp('same'), 'diff')).toBe('')
    await send(anApp('same-server'), 'apply', '--server-side')
    await ready('same-server')
    expect(await send(anApp('same-server'), 'diff', '--server-side')).toBe('')
  })

  test('edit changes the app; what is refused is said with the path of the field', async () => {
    await send(anApp('edited', { volumes: [{ path: '/data', size: '2Gi' }] }), 'apply')
    await ready('edited')
    expect(await edit('edited', 's/size: 2Gi/size: 3Gi/')).toContain('edited')
    await ready('edited')
    expect((await app('edited')).spec['volumes']).toMatchObject([{ size: '3Gi' }])
    await expect(edit('edited', 's/size: 3Gi/size: lots/')).rejects.toThrow(
      /spec\.volumes\[0\]\.size: |Edit cancelled/,
    )
    expect((await app('edited')).spec['volumes']).toMatchObject([{ size: '3Gi' }])
  })

  test('a dry run says what the server says, and leaves nothing behind', async () => {
    expect(await send(anApp('dry'), 'apply', '--dry-run=server')).toContain('(server dry run)')
    await expect(send(anApp('dry', { replicas: -1 }), 'apply', '--dry-run=server')).rejects.toThrow(
      /spec\.replicas/,
    )
    expect(await kubectl('get', 'capp,sts,pvc', '-o', 'name')).not.toContain('dry')
    await send(anApp('dried'), 'apply')
    await ready('dried')
    const before = (await fairlead.object(NAMESPACE, 'sts', 'dried')).metadata.resourceVersion
    await send(anApp('dried', { image: `${APP_IMAGE}:2` }), 'apply', '--dry-run=server')
    expect((await app('dried')).spec['image']).toBe(`${APP_IMAGE}:1`)
    expect((await fairlead.object(NAMESPACE, 'sts', 'dried')).metadata.resourceVersion).toBe(before)
  })

  test.each([
    ['deployment', 'restarted-many', { image: PLAIN }],
    ['statefulset', 'restarted-one', {}],
  ])('rollout restart of the %s replaces the pods once, and stays', async (kind, name, spec) => {
    await send(anApp(name, spec), 'apply')
    await ready(name)
    const before = await podNames(name)
    await kubectl('rollout', 'restart', `${kind}/${name}`)
    await expect.poll(() => podNames(name), POLL).not.toEqual(before)
    await ready(name)
    const replaced = async () =>
      (await podNames(name)).length === 1 && !(await podNames(name)).includes(before[0] ?? '')
    await expect.poll(replaced, POLL).toBe(true)
    // A change of our own keeps the annotation: an apply that took it away would restart the app again.
    await kubectl(
      'patch',
      SHORT_NAME,
      name,
      '--type=merge',
      '-p',
      '{"spec":{"env":[{"name":"A","value":"1"}]}}',
    )
    await ready(name)
    const { spec: workload } = await fairlead.object<{ spec: { template: { metadata: Fields } } }>(
      NAMESPACE,
      kind,
      name,
    )
    expect(workload.template.metadata['annotations']).toHaveProperty(['kubectl.kubernetes.io/restartedAt'])
  })

  test('rollout restart is for workloads: of the app itself kubectl refuses it', async () => {
    await send(anApp('itself'), 'apply')
    await expect(kubectl('rollout', 'restart', 'capp/itself')).rejects.toThrow(/no kind "ContainerApp"/)
  })

  test('delete takes everything but the data', async () => {
    await send(anApp('gone'), 'apply')
    await ready('gone')
    await kubectl('delete', SHORT_NAME, 'gone', '--timeout=60s')
    const left = () => kubectl('get', 'sts,pvc,pods', '-l', 'fairlead.dev/app=gone', '-o', 'name')
    await expect.poll(left, POLL).toMatch(/^persistentvolumeclaim\/gone-\S+\n$/)
  })

  test.each(REFUSED)('the server refuses $what', async ({ spec, name = 'refused', message }) => {
    await expect(send(anApp(name, spec), 'create', '--validate=strict')).rejects.toThrow(message)
  })

  test.each<readonly [string, string, Fields, RegExp, RegExp]>([
    [
      'an entrypoint that is not there',
      'entry',
      { image: `${APP_IMAGE}:broken` },
      /^ExecNotFound$/,
      /\/nothing/,
    ],
    ['a user that is not there', 'user', { user: 'nobody-here' }, /^UserNotFound$/, /nobody-here/],
    ['hooks', 'hooks', { hooks: [{ path: '/app' }] }, /^HooksUnsupported$/, /hook/i],
    ['no image of that name', 'image', { image: 'Not/A/Name' }, /^InvalidReference$/, /Not\/A\/Name/],
    ['one folder within another', 'nested', { volumes: [{ path: '/proc' }] }, /./, /\/proc/],
  ])(
    '%s: only we can see it, and say so by conditions and an event',
    async (_what, name, spec, reason, message) => {
      await send(anApp(name, spec), 'apply')
      const waiting = () => fairlead.condition(NAMESPACE, name, 'Stalled')
      await expect.poll(waiting, POLL).toMatchObject({ status: 'True' })
      expect(await fairlead.condition(NAMESPACE, name, 'Ready')).toMatchObject({
        status: 'False',
        reason: expect.stringMatching(reason) as string,
        message: expect.stringMatching(message) as string,
      })
      const events = () => kubectl('events', '--for', `containerapp/${name}`)
      await expect.poll(events, POLL).toContain('Warning')
      expect(await kubectl('get', 'pods', '-l', `fairlead.dev/app=${name}`, '-o', 'name')).toBe('')
    },
  )

  test('a tag that is not there is no dead end: the next edit is taken', async () => {
    await send(anApp('no-tag', { image: `${APP_IMAGE}:none` }), 'apply')
    const words = () => fairlead.condition(NAMESPACE, 'no-tag', 'Ready')
    await expect
      .poll(words, POLL)
      .toMatchObject({ status: 'False', reason: 'ImageNotFound', message: expect.stringContaining('none') })
    await kubectl('patch', SHORT_NAME, 'no-tag', '--type=merge', '-p', `{"spec":{"image":"${PLAIN}"}}`)
    await ready('no-tag')
  })

  test('nobody was let onto a claim that was not prepared, and nothing was forbidden', async () => {
    expect(fairlead.stub.violations).toEqual([])
    expect((await fairlead.writes()).filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([])
    expect(fairlead.controller.log).not.toMatch(/ClusterForbidden|"level":(50|60)/)
  })
})
