import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  FIELD_MANAGER,
  RESOLVE_REQUESTED_AT,
  RESTART_REQUESTED_AT,
  SEEDED_FROM,
} from '../../../src/crd/labels.ts'
import {
  CHILD_TYPES,
  CLAIMS,
  CONTAINER_APPS,
  isChildKind,
  NAMESPACES,
  SERVICES,
  STATEFUL_SETS,
} from '../../../src/engine/kubernetes/resources.ts'
import { ExpectedError } from '../../../src/errors.ts'
import type { Digest } from '../../../src/image/types.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { MemoryKube } from '../../support/memory-kube.ts'
import { NOON } from '../prepared-state.ts'
import { APP_IMAGE, imagesOf, OLD_IMAGE, writeApp } from './files.ts'
import { ClusterDesk } from './world.ts'

const IMAGE = 'example.com/team/app:good'
const SPEC = { image: IMAGE, ports: [{ name: 'http', port: 80 }] }

let desk: ClusterDesk
let images: readonly string[]
beforeEach(async () => {
  desk = new ClusterDesk()
  images = await imagesOf(desk.desk)
  return () => desk[Symbol.dispose]()
})

interface Change {
  readonly change: string
  readonly kind: string
  readonly name: string
  readonly diff: string
}

/** `diff -o json` as `added Service`, with the lines that come and go; nothing may be written, and 1 says that there are. */
async function changes(...args: string[]): Promise<readonly (readonly [string, readonly string[]])[]> {
  const before = await everything()
  const { code, stdout, stderr } = await desk.run(['diff', ...args, ...images, '-o', 'json'])
  const { changes: found } = JSON.parse(stdout) as { changes: Change[] }
  const expected = { code: found.length === 0 ? 0 : 1, stderr: '', left: before }
  expect({ code, stderr, left: await everything() }).toEqual(expected)
  return found.map(({ change, kind, diff }) => [
    `${change} ${kind}`,
    diff.split('\n').filter((line) => /^[-+] /.test(line)),
  ])
}

async function everything(): Promise<readonly (readonly KubeObject[])[]> {
  return Promise.all([CONTAINER_APPS, ...Object.values(CHILD_TYPES)].map((type) => desk.kube.list(type)))
}

/** An app that the controller has made everything for: what `render` says of the resource is there. */
async function settledApp(
  digest: Digest = APP_IMAGE.digest,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const image = { reference: IMAGE, canonical: IMAGE, digest, resolvedAt: NOON, ...more }
  await desk.app('chat/web', { observedGeneration: 1, image }, SPEC)
  // Files know nothing of it, and have not to.
  const restarted = { metadata: { annotations: { [RESTART_REQUESTED_AT]: NOON } } }
  await desk.kube.mergePatch(CONTAINER_APPS, 'chat', 'web', restarted, { fieldManager: 'user' })
  const { stdout: resource } = await desk.run(['status', 'web', '-o', 'yaml'])
  writeFileSync(join(desk.desk.dir, 'live.yaml'), resource)
  const { stdout } = await desk.run(['render', '-f', 'live.yaml', ...images])
  for (const document of parseAllDocuments(stdout)) {
    const object = document.toJS() as KubeObject
    if (!isChildKind(object.kind)) throw new Error(object.kind)
    await desk.kube.apply(CHILD_TYPES[object.kind], object, { fieldManager: FIELD_MANAGER, force: true })
  }
}

describe('diff', () => {
  test('of a new file shows everything that would be made, and makes nothing', async () => {
    writeApp(desk.desk)
    const found = await changes('-f', 'app.yaml')
    expect(found.map(([what]) => what)).toEqual([
      'added ContainerApp',
      'added PersistentVolumeClaim',
      'added Service',
      'added StatefulSet',
    ])
  })

  test('of an app that has it all finds no difference', async () => {
    await settledApp()
    expect(await changes('web')).toEqual([])
    expect(await desk.run(['diff', 'web', ...images])).toMatchObject({ code: 0, stdout: 'no difference\n' })
    writeApp(desk.desk)
    expect(await changes('-f', 'app.yaml')).toEqual([])
  })

  test('of an edit shows the resource and what follows from it', async () => {
    await settledApp()
    writeApp(desk.desk, { env: [{ name: 'MODE', value: 'fast' }] })
    const found = await changes('-f', 'app.yaml')
    expect(found.map(([what]) => what)).toEqual(['modified ContainerApp', 'modified StatefulSet'])
    expect(found[0]?.[1]).toEqual(['+  env:', '+    - name: MODE', '+      value: fast'])
    expect(found[1]?.[1].filter((line) => /fairlead\.dev\/(applied|inputs)/.test(line))).toEqual([])
    expect(found[1]?.[1]).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^\+ +value: fast$/),
        expect.stringMatching(/^- +fairlead\.dev\/revision: /),
      ]),
    )
  })

  test('goes on from the pin that the app has', async () => {
    await settledApp(OLD_IMAGE.digest)
    writeApp(desk.desk)
    expect(await changes('-f', 'app.yaml')).toEqual([])
  })

  describe('tells of the image', () => {
    async function asked(metadata: Readonly<Record<string, string>>): Promise<void> {
      const by = { fieldManager: 'user' }
      await desk.kube.mergePatch(CONTAINER_APPS, 'chat', 'web', { metadata: { annotations: metadata } }, by)
    }

    test('what a rebuild that was asked for would change', async () => {
      await settledApp(OLD_IMAGE.digest)
      await asked({ [RESOLVE_REQUESTED_AT]: NOON })
      const { code, stdout, stderr } = await desk.run(['diff', 'web', ...images, '-o', 'json'])
      expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
      expect((JSON.parse(stdout) as { images: unknown }).images).toEqual([
        {
          namespace: 'chat',
          name: 'web',
          reference: IMAGE,
          from: OLD_IMAGE.digest,
          to: APP_IMAGE.digest,
          taken: true,
          changes: ['command changed: ["old"] → []'],
        },
      ])
      expect((await desk.run(['diff', 'web', ...images])).stdout).toContain(
        `# the image of chat/web becomes ${IMAGE}, ${OLD_IMAGE.digest} → ${APP_IMAGE.digest}\n# command changed: ["old"] → []\n--- StatefulSet`,
      )
    })

    test('what a new reference would change', async () => {
      await settledApp(OLD_IMAGE.digest, { reference: 'example.com/team/app:old' })
      writeApp(desk.desk)
      const { stdout } = await desk.run(['diff', '-f', 'app.yaml', ...images])
      expect(stdout).toContain('# command changed: ["old"] → []\n')
    })

    test('where the old one is gone, and shows the rest', async () => {
      const gone: Digest = `sha256:${'0'.repeat(64)}`
      await settledApp(OLD_IMAGE.digest)
      await desk.kube.mergePatch(
        CONTAINER_APPS,
        'chat',
        'web',
        { status: { image: { digest: gone } } },
        { fieldManager: FIELD_MANAGER, subresource: 'status' },
      )
      await asked({ [RESOLVE_REQUESTED_AT]: NOON })
      const { code, stdout, stderr } = await desk.run(['diff', 'web', ...images])
      expect(stderr).toMatch(/^note: the image before could not be compared: /)
      expect(stdout).toContain(`${gone} → ${APP_IMAGE.digest}`)
      expect(code).toBe(1)
    })

    test('nothing of a tag that the resource does not name any more', async () => {
      const moved = { availableDigest: OLD_IMAGE.digest, availableChanges: 'user root → 5' }
      await settledApp(APP_IMAGE.digest, { reference: 'example.com/team/app:old', ...moved })
      writeApp(desk.desk)
      expect((await desk.run(['diff', '-f', 'app.yaml', ...images])).stdout).not.toContain('now is')
    })

    test('that a tag has moved, which is no difference', async () => {
      const moved = { availableDigest: OLD_IMAGE.digest, availableChanges: 'user root → 5, drops arm64' }
      await settledApp(APP_IMAGE.digest, moved)
      expect(await desk.run(['diff', 'web', ...images])).toMatchObject({
        code: 0,
        stdout: `# ${IMAGE} now is ${OLD_IMAGE.digest}: user root → 5, drops arm64; "kubectl fairlead rebuild web -n chat" takes it\nno difference\n`,
      })
      const { stdout } = await desk.run(['diff', 'web', ...images, '-o', 'json'])
      expect(JSON.parse(stdout)).toMatchObject({
        changes: [],
        images: [{ taken: false, to: OLD_IMAGE.digest, changes: ['user root → 5, drops arm64'] }],
      })
    })
  })

  test('is a unified diff for people', async () => {
    await settledApp()
    writeApp(desk.desk, { env: [{ name: 'MODE', value: 'fast' }] })
    const { code, stdout } = await desk.run(['diff', '-f', 'app.yaml', ...images])
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /^--- ContainerApp chat\/web\n\+\+\+ ContainerApp chat\/web\n@@ -\d+,\d+ \+\d+,\d+ @@\n/,
    )
  })

  test('of a drift shows how it would be mended', async () => {
    await settledApp()
    const port = { spec: { ports: [{ name: 'http', port: 81 }] } }
    await desk.kube.mergePatch(SERVICES, 'chat', 'web', port, { fieldManager: 'somebody' })
    const found = await changes('web')
    expect(found.map(([what]) => what)).toEqual(['modified Service'])
    expect(found[0]?.[1].join('\n')).toContain('-      port: 81\n+      port: 80')
  })

  test('of another kind of workload shows both', async () => {
    await settledApp()
    writeApp(desk.desk, { volumes: [{ path: '/data', medium: 'Memory', size: '64Mi' }] })
    expect((await changes('-f', 'app.yaml')).map(([what]) => what)).toEqual([
      'modified ContainerApp',
      'removed StatefulSet',
      'added Deployment',
    ])
  })

  test('renders for the level that the namespace enforces', async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'chat', labels } }
    await desk.kube.create(NAMESPACES, namespace, { fieldManager: 'admin' })
    writeApp(desk.desk, { user: '1000' })
    const workload = (await changes('-f', 'app.yaml')).find(([what]) => what === 'added StatefulSet')
    expect(workload?.[1].join('\n')).toContain('runAsNonRoot: true')
  })

  test('says what would keep the controller from going on', async () => {
    const labels = { 'fairlead.dev/app': 'web' }
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'chat', name: 'web', labels },
    }
    await desk.kube.create(SERVICES, service, { fieldManager: 'somebody' })
    writeApp(desk.desk)
    const { code, stderr } = await desk.run(['diff', '-f', 'app.yaml', ...images])
    expect(stderr).toMatch(/^NameConflict: there is a Service web already/)
    expect(code).toBe(3)
  })

  test('without the rights says which one is missing', async () => {
    const before = ({ verb, plural }: { readonly verb: string; readonly plural: string }) => {
      if (verb === 'create' && plural === 'statefulsets')
        throw new ExpectedError('ClusterForbidden', 'user u may not create statefulsets')
    }
    desk[Symbol.dispose]()
    desk = new ClusterDesk(new MemoryKube({ before }))
    images = await imagesOf(desk.desk)
    writeApp(desk.desk)
    expect(await desk.run(['diff', '-f', 'app.yaml', ...images])).toMatchObject({
      code: 3,
      stdout: '',
      stderr: 'ClusterForbidden: user u may not create statefulsets\n',
    })
  })

  test.each([
    [[], 2, /name an app, or files with -f/],
    [['web', '-f', 'app.yaml'], 2, /name an app, or files with -f/],
    [['none'], 3, /^NotFound: /],
    [['-f', 'none.yaml'], 2, /none\.yaml/],
  ])('%j ends with %d', async (args, code, said) => {
    writeApp(desk.desk)
    const result = await desk.run(['diff', ...args])
    expect(result.stderr).toMatch(said)
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' })
  })

  describe('of an app that runs what it says', () => {
    /** Where nothing can be read. */
    const nowhere = ['--registries-config', 'nowhere.yaml']

    beforeEach(async () => {
      const layouts = [{ prefix: 'example.com/team/app', path: join(desk.desk.dir, 'gone') }]
      writeFileSync(join(desk.desk.dir, 'nowhere.yaml'), JSON.stringify({ layouts }))
      await settledApp()
      const seeded = { [SEEDED_FROM]: JSON.stringify({ '/data': APP_IMAGE.digest }) }
      const by = { fieldManager: FIELD_MANAGER }
      for (const { metadata } of await desk.kube.list(CLAIMS)) {
        const annotations = { metadata: { annotations: seeded } }
        await desk.kube.mergePatch(CLAIMS, 'chat', metadata.name, annotations, by)
        const bound = { status: { phase: 'Bound' } }
        await desk.kube.mergePatch(CLAIMS, 'chat', metadata.name, bound, { ...by, subresource: 'status' })
      }
    })

    test('needs no image: the pin is enough', async () => {
      const none = { code: 0, stdout: 'no difference\n', stderr: '' }
      expect(await desk.run(['diff', 'web', ...nowhere])).toMatchObject(none)
      writeApp(desk.desk)
      expect(await desk.run(['diff', '-f', 'app.yaml', ...nowhere])).toMatchObject(none)
    })

    test('shows a drift without an image', async () => {
      const port = { spec: { ports: [{ name: 'http', port: 81 }] } }
      await desk.kube.mergePatch(SERVICES, 'chat', 'web', port, { fieldManager: 'somebody' })
      const { code, stdout } = await desk.run(['diff', 'web', ...nowhere])
      expect(stdout).toMatch(/^--- Service chat\/web$/m)
      expect(code).toBe(1)
    })

    test('shows new words of the resource alone without an image', async () => {
      writeApp(desk.desk, {}, { metadata: { namespace: 'chat', name: 'web', labels: { team: 'a' } } })
      const { code, stdout } = await desk.run(['diff', '-f', 'app.yaml', ...nowhere])
      expect(stdout.match(/^--- .*$/gm)).toEqual(['--- ContainerApp chat/web'])
      expect(code).toBe(1)
    })

    test('needs one for everything else', async () => {
      writeApp(desk.desk, { env: [{ name: 'MODE', value: 'fast' }] })
      const { code, stderr } = await desk.run(['diff', '-f', 'app.yaml', ...nowhere])
      expect(stderr).toMatch(/^ImageNotFound: /)
      expect(code).toBe(3)
    })
  })

  test('says from where a registry was asked in vain', async () => {
    writeApp(desk.desk, { image: '127.0.0.1:1/team/app:good' })
    const { code, stderr } = await desk.run(['diff', '-f', 'app.yaml'])
    expect(stderr).toMatch(
      /^RegistryUnavailable: 127\.0\.0\.1:1 .*\(asked from this machine; --registries-config /,
    )
    expect(code).toBe(3)
  })

  test('leaves claims that nothing declares any more alone', async () => {
    await settledApp()
    const [claim] = await desk.kube.list(CLAIMS)
    const other = {
      ...claim,
      metadata: { ...claim?.metadata, name: 'web-old', uid: undefined, resourceVersion: undefined },
    }
    const annotations = { ...claim?.metadata.annotations, 'fairlead.dev/volume-path': '["/old"]' }
    await desk.kube.create(
      CLAIMS,
      { ...other, metadata: { ...other.metadata, annotations } } as unknown as KubeObject,
      { fieldManager: FIELD_MANAGER },
    )
    expect(await changes('web')).toEqual([])
    expect((await desk.kube.list(STATEFUL_SETS)).length).toBe(1)
  })
})
