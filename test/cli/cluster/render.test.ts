/** `render` and `check` for a cluster: from files, without a cluster, alike in both programs. */
import { parseAllDocuments } from 'yaml'
import { beforeEach, describe, expect, test } from 'vitest'
import { IMAGE_DIGEST } from '../../../src/crd/labels.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { DIGEST_A, NOON } from '../prepared-state.ts'
import type { RunResult } from '../run.ts'
import { APP_IMAGE, imagesOf, writeApp } from './files.ts'
import { ClusterDesk } from './world.ts'

let desk: ClusterDesk
let images: readonly string[]
beforeEach(async () => {
  desk = new ClusterDesk()
  images = await imagesOf(desk.desk)
  return () => desk[Symbol.dispose]()
})

function render(...args: string[]): Promise<RunResult> {
  return desk.run(['render', '-f', 'app.yaml', ...images, ...args])
}

function objects(stdout: string): readonly KubeObject[] {
  return parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject)
}

function summary(stdout: string): readonly string[] {
  return objects(stdout).map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)
}

function templateOf(stdout: string): { metadata: { annotations: Record<string, string> } } {
  const workload = objects(stdout).find(({ kind }) => kind === 'StatefulSet')
  if (workload === undefined) throw new Error('no StatefulSet')
  return (workload['spec'] as { template: { metadata: { annotations: Record<string, string> } } }).template
}

describe('render', () => {
  test('prints what the controller makes, in its order, and asks no cluster', async () => {
    writeApp(desk.desk)
    const { code, stdout, stderr } = await render()
    expect({ code, stderr, calls: desk.kube.calls }).toEqual({ code: 0, stderr: '', calls: [] })
    expect(summary(stdout)).toEqual([
      expect.stringMatching(/^PersistentVolumeClaim chat\/web-data-/),
      'Service chat/web',
      'StatefulSet chat/web',
    ])
    expect(stdout).toContain(`image: example.com/team/app:good@${APP_IMAGE.digest}`)
    expect(stdout).toContain('storage: 10Gi')
  })

  test('is byte for byte the same in both programs', async () => {
    writeApp(desk.desk)
    const host = await desk.desk.run(['render', '-f', 'app.yaml', '--engine', 'kubernetes', ...images], {
      isRoot: false,
    })
    expect(host).toMatchObject({ code: 0, stdout: (await render()).stdout })
  })

  test('takes the pin of the document, and its uid as the owner', async () => {
    const status = {
      image: {
        reference: 'example.com/team/app:broken',
        canonical: 'example.com/team/app:broken',
        digest: APP_IMAGE.digest,
        resolvedAt: NOON,
      },
    }
    const metadata = { name: 'web', namespace: 'chat', uid: 'u-1' }
    writeApp(desk.desk, { image: 'example.com/team/app:broken' }, { status, metadata })
    const { stdout } = await render()
    expect(templateOf(stdout).metadata.annotations[IMAGE_DIGEST]).toBe(APP_IMAGE.digest)
    expect(objects(stdout).at(-1)?.metadata.ownerReferences).toMatchObject([
      { kind: 'ContainerApp', uid: 'u-1' },
    ])
  })

  test('a pin of another reference does not count', async () => {
    const image = { reference: 'other', canonical: 'other', digest: DIGEST_A, resolvedAt: NOON }
    writeApp(desk.desk, {}, { status: { image } })
    expect(templateOf((await render()).stdout).metadata.annotations[IMAGE_DIGEST]).toBe(APP_IMAGE.digest)
  })

  test('--default-volume-size is the size of what has none', async () => {
    writeApp(desk.desk)
    expect((await render('--default-volume-size', '3Gi')).stdout).toContain('storage: 3Gi')
  })

  test('--pod-security restricted renders for it', async () => {
    writeApp(desk.desk, { user: '1000' })
    expect((await render()).stdout).not.toContain('runAsNonRoot')
    expect((await render('--pod-security', 'restricted')).stdout).toContain('runAsNonRoot: true')
  })

  test.each([
    ['no', 'docker.io/fairlead:1', true],
    ['yes', 'docker.io/fairlead:1', false],
  ])('--preflight with --image-volumes %s', async (answer, image, copies) => {
    writeApp(desk.desk)
    const options = ['--preflight', '--preflight-image', image, '--image-volumes', answer]
    const { code, stdout } = await render(...options)
    expect(code).toBe(0)
    expect(summary(stdout)[2]).toMatch(/^Pod chat\/web-preflight-/)
    const pod = objects(stdout)[2] as
      | { spec: { initContainers?: unknown[]; containers: { image: string }[] } }
      | undefined
    expect(pod?.spec.initContainers !== undefined).toBe(copies)
    expect(JSON.stringify(pod)).toContain(image)
  })

  test.each([
    [['--preflight'], 2, /--preflight-image: is needed/],
    [['--default-volume-size', 'big'], 2, /--default-volume-size: found "big"/],
    [['--pod-security', 'none'], 2, /privileged, baseline, restricted/],
    [['--registries-config', 'none.yaml'], 1, /none\.yaml/],
  ])('%j is refused', async (args, code, said) => {
    writeApp(desk.desk)
    const result = await render(...args)
    expect(result.stderr).toMatch(said)
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' })
  })

  test.each([
    ['an entrypoint that is missing', { image: 'example.com/team/app:broken' }, /^ExecNotFound: /m],
    ['hooks', { hooks: [{ path: '/app' }] }, /^HooksUnsupported: spec\.hooks: /m],
    ['a path', { image: 'oci:./layout:good' }, /^ImageNotPullable: /],
    ['two writers', { replicas: 2 }, /^InvalidSpec: spec\.replicas: /m],
  ])('%s is refused as the controller refuses it', async (_title, spec, said) => {
    writeApp(desk.desk, spec)
    const { code, stdout, stderr } = await render()
    expect(stderr).toMatch(said)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  })
})

describe('check', () => {
  const check = (...args: string[]) => desk.run(['check', '-f', 'app.yaml', '-o', 'json', ...args])
  const issues = ({ stdout }: RunResult) =>
    (JSON.parse(stdout) as { issues: { reason: string; path: string }[] }).issues.map(
      ({ reason, path }) => `${reason} ${path}`,
    )

  test.each([
    ['nothing', {}, 0, []],
    [
      'hooks and the entrypoint at once',
      { image: 'example.com/team/app:broken', hooks: [{ path: '/h' }] },
      1,
      ['HooksUnsupported spec.hooks', 'ExecNotFound image entrypoint', 'ExecNotFound spec.hooks[0].path'],
    ],
    [
      'a warning',
      { volumes: [{ path: '/data', exec: 'Forbidden' }] },
      0,
      ['UnsupportedField spec.volumes[0].exec'],
    ],
    ['a path', { image: 'oci:./layout:good' }, 1, ['ImageNotPullable spec.image']],
  ])('finds %s', async (_title, spec, code, expected) => {
    writeApp(desk.desk, spec)
    const result = await check(...images)
    expect({ code: result.code, issues: issues(result), calls: desk.kube.calls }).toEqual({
      code,
      issues: expected,
      calls: [],
    })
  })

  test('is alike in both programs', async () => {
    writeApp(desk.desk, { hooks: [{ path: '/h' }] })
    const args = ['check', '-f', 'app.yaml', '--engine', 'kubernetes', '-o', 'json', ...images]
    expect((await desk.desk.run(args)).stdout).toBe((await check(...images)).stdout)
  })

  test('without images says what the resource alone shows', async () => {
    writeApp(desk.desk, { image: 'nowhere.invalid/app:1', hooks: [{ path: '/h' }] })
    const result = await check('--no-images')
    expect({ code: result.code, issues: issues(result) }).toEqual({
      code: 1,
      issues: ['HooksUnsupported spec.hooks'],
    })
  })
})
