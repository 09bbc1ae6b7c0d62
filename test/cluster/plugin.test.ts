/** `kubectl fairlead` as users meet it: found by kubectl, against a real API server, with its schemas and defaults. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKubeClient, type ClusterClient } from '../../src/engine/kubernetes/api/client.ts'
import { connectKubeconfig } from '../../src/engine/kubernetes/api/connect.ts'
import { CHILD_TYPES, CLAIMS, CONTAINER_APPS, isChildKind } from '../../src/engine/kubernetes/resources.ts'
import { clusterSecretReader, type SecretReader } from '../../src/engine/kubernetes/images/secret-reader.ts'
import {
  APP_LABEL,
  FIELD_MANAGER,
  RESOLVE_REQUESTED_AT,
  SEEDED_FROM,
  STATUS_FIELD_MANAGER,
} from '../../src/crd/labels.ts'
import { toYaml } from '../../src/crd/to-yaml.ts'
import type { Digest } from '../../src/image/types.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { parseAllDocuments } from 'yaml'
import { APP_IMAGE, imagesOf, writeApp } from '../cli/cluster/files.ts'
import { aClaim } from '../cli/cluster/world.ts'
import { DIGEST_B, NOON, runningStatus } from '../cli/prepared-state.ts'
import { Desk } from '../cli/run.ts'
import { startControlPlane, type ControlPlane } from './bed/control-plane.ts'

const run = promisify(execFile)
const ROOT = path.join(import.meta.dirname, '../..')
const PLUGIN = path.join(ROOT, 'bin/kubectl-fairlead')
const SPEC = { image: 'example.com/team/app:good', ports: [{ name: 'http', port: 80 }] }
const signal = new AbortController().signal
const BY = { fieldManager: FIELD_MANAGER, force: true }

let plane: ControlPlane
let client: ClusterClient
let desk: Desk
let images: readonly string[]

interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** As kubectl starts it: by its own name, with the user's kubeconfig. */
async function plugin(args: readonly string[], kubeconfig = plane.adminKubeconfig): Promise<Result> {
  const env = { ...process.env, KUBECONFIG: kubeconfig }
  try {
    const { stdout, stderr } = await run(PLUGIN, [...args], { env, cwd: desk.dir })
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

beforeAll(async () => {
  plane = await startControlPlane()
  client = openKubeClient(await connectKubeconfig({ path: plane.adminKubeconfig }))
  await plane.kubectl(['apply', '--server-side', '-f', path.join(ROOT, 'manifests/crd.yaml')])
  await plane.kubectl(['wait', '--for=condition=Established', 'crd/containerapps.fairlead.dev'])
  await plane.kubectl(['create', 'namespace', 'chat'])
  await plane.kubectl(['create', 'serviceaccount', 'nobody'])
  // Nobody makes them where no controller manager runs, and pods are refused without.
  await plane.kubectl(['create', 'serviceaccount', 'default', '-n', 'chat'])
  desk = new Desk()
  images = await imagesOf(desk)
}, 120_000)
afterAll(async () => {
  desk[Symbol.dispose]()
  client.close()
  await plane.stop()
})

/** What the controller makes for an app, with a status that says so. */
async function settledApp(name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const resource = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { name, namespace: 'chat' },
    spec: { ...SPEC, ...spec },
  }
  await client.create(CONTAINER_APPS, resource, { fieldManager: 'user' })
  await writeStatus(name, APP_IMAGE.digest)
  const { stdout: live } = await plugin(['status', `chat/${name}`, '-o', 'yaml'])
  await writeFile(path.join(desk.dir, 'live.yaml'), live)
  const rendered = await plugin(['render', '-f', 'live.yaml', ...images])
  expect(rendered).toMatchObject({ code: 0, stderr: '' })
  for (const document of parseAllDocuments(rendered.stdout)) {
    const object = document.toJS() as KubeObject
    if (!isChildKind(object.kind)) throw new Error(object.kind)
    await client.apply(CHILD_TYPES[object.kind], object, BY)
  }
}

async function writeStatus(name: string, digest: Digest, request?: string): Promise<void> {
  const { image: _image, volumes: _volumes, ...rest } = runningStatus()
  const reference = SPEC.image
  const image = { reference, canonical: reference, digest, resolvedAt: NOON }
  const status = { ...rest, image, ...(request === undefined ? {} : { lastHandledRequest: request }) }
  const object = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { name, namespace: 'chat' },
    status,
  }
  await client.apply(CONTAINER_APPS, object, {
    fieldManager: STATUS_FIELD_MANAGER,
    force: true,
    subresource: 'status',
  })
}

test('kubectl finds it by its name', async () => {
  const env = { PATH: `${ROOT}/bin:${process.env['PATH'] ?? ''}` }
  const stdout = await plane.kubectl(['fairlead', '--help'], { env })
  expect(stdout.split('\n')[0]).toBe('Usage: kubectl fairlead [options] [command]')
})

test('what render prints is accepted by the API server as it is', async () => {
  writeApp(desk, {}, {}, 'chat/fresh')
  const { stdout } = await plugin([
    'render',
    '-f',
    'app.yaml',
    '--preflight',
    '--preflight-image',
    'example.com/fairlead:1',
    ...images,
  ])
  await writeFile(path.join(desk.dir, 'objects.yaml'), stdout)
  const applied = await plane.kubectl([
    'apply',
    '--server-side',
    '--dry-run=server',
    '--validate=strict',
    '-f',
    path.join(desk.dir, 'objects.yaml'),
  ])
  expect(applied.match(/serverside-applied/g)?.length).toBe(4)
})

describe('diff', () => {
  test('finds nothing where the server only added its defaults', async () => {
    await settledApp('still')
    expect(await plugin(['diff', 'chat/still', ...images])).toEqual({
      code: 0,
      stdout: 'no difference\n',
      stderr: '',
    })
    writeApp(desk, {}, {}, 'chat/still')
    expect((await plugin(['diff', '-f', 'app.yaml', ...images])).stdout).toBe('no difference\n')
  })

  test('needs no image where everything is as the words say, the defaults of the server included', async () => {
    await settledApp('pinned')
    const by = { fieldManager: FIELD_MANAGER }
    const claims = await client.list(CLAIMS, { namespace: 'chat', labelSelector: `${APP_LABEL}=pinned` })
    const seeded = { [SEEDED_FROM]: JSON.stringify({ '/data': APP_IMAGE.digest }) }
    for (const { metadata } of claims) {
      await client.mergePatch(CLAIMS, 'chat', metadata.name, { metadata: { annotations: seeded } }, by)
      const bound = { status: { phase: 'Bound' } }
      await client.mergePatch(CLAIMS, 'chat', metadata.name, bound, { ...by, subresource: 'status' })
    }
    const none = { code: 0, stdout: 'no difference\n', stderr: '' }
    await writeFile(path.join(desk.dir, 'nowhere.yaml'), 'layouts: [{prefix: example.com/, path: /none}]\n')
    const nowhere = ['--registries-config', 'nowhere.yaml']
    expect(await plugin(['diff', 'pinned', '-n', 'chat', ...nowhere])).toEqual(none)
    writeApp(desk, {}, {}, 'chat/pinned')
    expect(await plugin(['diff', '-f', 'app.yaml', ...nowhere])).toEqual(none)
  })

  test('shows an edit and a new app, and makes neither', async () => {
    await settledApp('edited')
    writeApp(desk, { env: [{ name: 'MODE', value: 'fast' }] }, {}, 'chat/edited')
    const edited = await plugin(['diff', '-f', 'app.yaml', ...images])
    expect(edited.code).toBe(1)
    expect(edited.stdout).toContain('--- StatefulSet chat/edited\n+++ StatefulSet chat/edited\n')
    expect(edited.stdout).toMatch(/^\+ +value: fast$/m)
    writeApp(desk, {}, {}, 'chat/new')
    const { stdout } = await plugin(['diff', '-f', 'app.yaml', ...images, '-o', 'json'])
    const { changes } = JSON.parse(stdout) as { changes: { change: string; kind: string }[] }
    expect(changes.map(({ change, kind }) => `${change} ${kind}`)).toEqual([
      'added ContainerApp',
      'added PersistentVolumeClaim',
      'added Service',
      'added StatefulSet',
    ])
    expect(await plane.kubectl(['get', 'capp,sts', '-n', 'chat', '-o', 'name'])).not.toContain('/new')
  })
})

test('rebuild sets one annotation, waits for the answer and prints both digests', async () => {
  await settledApp('moved')
  const answered = plugin(['rebuild', 'moved', '-n', 'chat', '--wait-timeout', '60s'])
  await expect.poll(async () => request('moved'), { timeout: 30_000, interval: 100 }).toMatch(/^\d{4}-/)
  await writeStatus('moved', DIGEST_B, await request('moved'))
  expect(await answered).toMatchObject({
    code: 0,
    stdout: `chat/moved: ${APP_IMAGE.digest} -> ${DIGEST_B}\n`,
  })
})

async function request(name: string): Promise<string | undefined> {
  return (await client.get(CONTAINER_APPS, 'chat', name))?.metadata.annotations?.[RESOLVE_REQUESTED_AT]
}

test('explain tells objects and events as the server gives them', async () => {
  await settledApp('told')
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'told.1', namespace: 'chat' },
    involvedObject: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'told', namespace: 'chat' },
    type: 'Warning',
    reason: 'FailedCreate',
    message: 'pods are refused',
    count: 3,
    firstTimestamp: NOON,
    lastTimestamp: NOON,
  }
  await plane.kubectl(['create', '-f', '-'], { input: toYaml(event) })
  const { code, stdout } = await plugin(['explain', 'chat/told', '-o', 'json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    workload: { kind: 'StatefulSet', name: 'told', wanted: 1, digest: APP_IMAGE.digest },
    volumes: [{ path: '/data', phase: 'Pending' }],
    events: [{ about: 'StatefulSet told', reason: 'FailedCreate', note: 'pods are refused', count: 3 }],
  })
})

test('volumes rm deletes a claim, and only when nothing uses it', async () => {
  await settledApp('full')
  const left = aClaim('chat/full', ['/old'])
  await plane.kubectl(['create', '-f', '-'], { input: toYaml(left) })
  await plane.kubectl([
    'patch',
    'capp',
    'full',
    '-n',
    'chat',
    '--type=merge',
    '-p',
    '{"spec":{"suspend":true}}',
  ])
  const { stdout } = await plugin(['volumes', 'ls', 'full', '-n', 'chat', '-o', 'json'])
  expect((JSON.parse(stdout) as { items: { path: string }[] }).items.map((row) => row.path)).toEqual([
    '/data',
    '/old',
  ])
  expect(await plugin(['volumes', 'rm', 'chat/full', '/old'])).toMatchObject({ code: 0, stderr: '' })
  await plane.kubectl([
    'patch',
    'capp',
    'full',
    '-n',
    'chat',
    '--type=merge',
    '-p',
    '{"spec":{"suspend":false}}',
  ])
  const refused = await plugin(['volumes', 'rm', 'chat/full', '/data'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/^VolumeInUse: /)
})

test('a kubeconfig that is not there is wrong usage', async () => {
  const { code, stdout, stderr } = await plugin(['status', '--kubeconfig', 'none.yaml'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toBe('NotFound: the kubeconfig cannot be used: there is no file none.yaml\n')
})

const readSecret = (reader: SecretReader, name: string) => reader.readSecret('chat', name, signal)
const readAccount = (reader: SecretReader, name: string) => reader.readServiceAccount('chat', name, signal)

test.each([
  ['a secret and no other', readSecret, /may not read the pull secret other /],
  ['accounts', readAccount, /^read$/],
])('the commands that PullSecretForbidden prints let it read %s', async (_title, read, others) => {
  const nobody = openKubeClient(await connectKubeconfig({ path: await plane.kubeconfigFor('nobody') }))
  const reader = clusterSecretReader(nobody, { namespace: 'default', serviceAccount: 'nobody' })
  const attempt = (name: string) => read(reader, name).then(() => 'read', String)
  try {
    const said = await attempt('login')
    expect(said).toMatch(/may not read .*; allow it with: kubectl /)
    for (const command of said.slice(said.indexOf('kubectl ')).split(' && '))
      await plane.kubectl(command.split(' ').slice(1))
    await expect.poll(() => attempt('login'), { timeout: 10_000 }).toBe('read')
    expect(await attempt('other')).toMatch(others)
  } finally {
    nobody.close()
  }
})

test('a user without rights is told which rule is missing', async () => {
  const { code, stdout, stderr } = await plugin(['status', '-A'], await plane.kubeconfigFor('nobody'))
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^ClusterForbidden: .*containerapps/)
})
