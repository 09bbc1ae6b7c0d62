import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ClusterImages } from '../../../../src/engine/kubernetes/images/cluster-images.ts'
import {
  NO_IMAGES_CONFIG,
  type ImagesConfig,
} from '../../../../src/engine/kubernetes/images/image-settings.ts'
import { DEFAULT_PACE, type PaceLimits } from '../../../../src/registry/read-pace.ts'
import type { SecretReader } from '../../../../src/engine/kubernetes/images/secret-reader.ts'
import type { AppStatus } from '../../../../src/crd/status.ts'
import type { App } from '../../../../src/crd/types.ts'
import { ExpectedError } from '../../../../src/errors.ts'
import { parsePlatform } from '../../../../src/image/platform.ts'
import { createLogger } from '../../../../src/log.ts'
import { NotYet } from '../../../../src/reconcile/not-yet.ts'
import type { StoredApp } from '../../../../src/reconcile/ports.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import type { LayerLimits } from '../../../../src/rootfs/types.ts'
import { anApp, aResource, KEY } from '../../../support/builders.ts'
import { failureOf } from '../../../support/expected-error.ts'
import {
  cut,
  respond,
  sha256,
  silent,
  startHostileRegistry,
  type HostileRegistry,
} from '../../../support/hostile-registry.ts'
import { dir, file, hardlink, layer, symlink, type LayerPart } from '../../../support/layer.ts'
import { buildImage, buildIndex, digestOf, writeLayout } from '../../../support/layout.ts'
import { pathsOf, serve } from './images.ts'

const signal = new AbortController().signal
const AMD64 = { os: 'linux', architecture: 'amd64' }
const ARM64 = { os: 'linux', architecture: 'arm64' }
const shared = layer([file('etc/passwd', 'app:x:7:8::/home:/bin/sh\n')])

function imageFor(platform: typeof AMD64, config: object = {}) {
  const own = layer([file(`only-on-${platform.architecture}`, platform.architecture)])
  return buildImage({ layers: [shared, own], platform, config: { Entrypoint: ['/app'], ...config } })
}

const amd = imageFor(AMD64)
const arm = imageFor(ARM64)
const both = buildIndex([arm, amd])

let registry: HostileRegistry
let open: ClusterImages[]

beforeEach(async () => {
  registry = await startHostileRegistry()
  open = []
})
afterEach(async () => {
  for (const images of open) images.close()
  await registry.stop()
})

interface Setup {
  readonly config?: Partial<ImagesConfig>
  readonly secrets?: SecretReader
  readonly platforms?: readonly string[]
  readonly limits?: Partial<LayerLimits>
  readonly pace?: PaceLimits
  readonly patienceMs?: number
  readonly onDone?: (app: string) => void
  readonly treeCacheBytes?: number
}

const NO_SECRETS: SecretReader = {
  readSecret: () => Promise.resolve(undefined),
  readServiceAccount: () => Promise.resolve([]),
}

function images(setup: Setup = {}): ClusterImages {
  const made = new ClusterImages({
    config: { ...NO_IMAGES_CONFIG, ...setup.config },
    secrets: setup.secrets ?? NO_SECRETS,
    platforms: () => (setup.platforms ?? ['linux/amd64']).map(parsePlatform),
    log: createLogger('silent'),
    now: Date.now,
    env: {},
    arch: 'x64',
    limits: { ...DEFAULT_LIMITS, maxEntries: 1000, ...setup.limits },
    patienceMs: setup.patienceMs ?? Infinity,
    ...(setup.pace === undefined ? {} : { pace: setup.pace }),
    ...(setup.onDone === undefined ? {} : { onDone: setup.onDone }),
    ...(setup.treeCacheBytes === undefined ? {} : { treeCacheBytes: setup.treeCacheBytes }),
  })
  open.push(made)
  return made
}

function theApp(spec: object = {}, metadata: object = {}): App {
  return anApp({ image: `${registry.host}/team/app:1`, ...spec }, { ...metadata })
}

const stored: StoredApp = {
  key: KEY,
  baseDir: '/',
  resource: aResource(),
  generation: 1,
  status: undefined,
  deletion: undefined,
}
/** Of an app that was resolved before. */
const PINNED: AppStatus = {
  image: { reference: 'x', canonical: 'x', digest: both.digest, resolvedAt: '2026-01-01T00:00:00Z' },
}

function blobRequests(): number {
  return registry.log().filter((line) => line.startsWith('GET blobs/')).length
}

describe('layers that nodes merge in another way', () => {
  const LOWER = [dir('usr'), dir('usr/lib'), symlink('lib', 'usr/lib'), file('f', 'f')]

  async function prepared(upper: readonly LayerPart[], imagePolicy: object = {}) {
    const image = buildImage({
      layers: [shared, layer(LOWER), layer(upper)],
      platform: AMD64,
      config: { Entrypoint: ['/app'] },
    })
    serve(registry, buildIndex([image]), '1')
    const all = images()
    const app = theApp({ imagePolicy })
    const resolved = await all.resolve(app, stored, undefined, signal)
    const { warnings, tree } = await all.prepare(app, stored, resolved, signal)
    return { warnings, paths: pathsOf(tree) }
  }

  test('are judged as nodes show them, and warned of', async () => {
    const { warnings, paths } = await prepared([file('lib/app', 'x')])
    expect(paths).toContain('lib/app')
    expect(paths).not.toContain('usr/lib/app')
    expect(warnings).toEqual([
      {
        severity: 'warning',
        reason: 'LayersDiverge',
        path: 'spec.image',
        message:
          'nodes with overlayfs show something else than the image specification says in 2 places, first /lib (layer 2, parent-symlink): a directory in place of the symlink to usr/lib, with only what this layer adds; fairlead unpack --report lists all',
      },
    ])
  })

  test('report a word for the specification that cannot be kept', async () => {
    const { warnings } = await prepared([file('lib/app', 'x')], { layerSemantics: 'spec' })
    expect(warnings).toMatchObject([
      { reason: 'UnsupportedField', path: 'spec.imagePolicy.layerSemantics', severity: 'warning' },
    ])
    expect((await prepared([file('g', 'x')], { layerSemantics: 'spec' })).warnings).toEqual([])
  })

  test('are judged by the specification where nodes with overlayfs cannot unpack them', async () => {
    const { warnings, paths } = await prepared([hardlink('g', 'f')])
    expect(paths).toContain('g')
    expect(warnings).toMatchObject([{ message: expect.stringContaining("can't unpack the image") as string }])
  })
})

describe('resolving', () => {
  test('gives the pin, the first platform and the name as nodes pull it', async () => {
    serve(registry, both, '1')
    const image = await images({ platforms: ['linux/arm64', 'linux/amd64'] }).resolve(
      theApp(),
      stored,
      undefined,
      signal,
    )
    expect(image).toMatchObject({
      digest: both.digest,
      manifestDigest: arm.digest,
      canonical: `${registry.host}/team/app:1`,
      source: { kind: 'registry' },
    })
  })

  test('says which nodes the image is not for', async () => {
    serve(registry, buildIndex([amd]), '1')
    const mixed = images({ platforms: ['linux/amd64', 'linux/arm64', 'linux/s390x'] })
    expect(await failureOf(() => mixed.resolve(theApp(), stored, undefined, signal))).toBe(
      'PlatformNotFound: the cluster has ready nodes of linux/arm64, linux/s390x, but the image only has linux/amd64; use an image for all of them, or set imagePolicy.platform to run on one platform only',
    )
  })

  test('lets the resource choose another platform than the nodes have', async () => {
    serve(registry, buildIndex([amd, arm]), '1')
    const app = theApp({ imagePolicy: { platform: 'linux/arm64' } })
    const image = await images({ platforms: ['linux/amd64', 'linux/s390x'] }).resolve(
      app,
      stored,
      undefined,
      signal,
    )
    expect(image.manifestDigest).toBe(arm.digest)
  })

  test('keeps a pinned image when nodes of another platform join, and warns', async () => {
    serve(registry, buildIndex([amd]), '1')
    const nodes = ['linux/amd64']
    const all = images({ platforms: nodes })
    const { digest } = await all.resolve(theApp(), stored, undefined, signal)
    nodes.unshift('linux/arm64')
    expect(await all.recall(theApp(), stored, digest)).toMatchObject({ manifestDigest: amd.digest })
    const image = await images({ platforms: nodes }).resolve(theApp(), stored, digest, signal)
    expect(image.manifestDigest).toBe(amd.digest)
    const { warnings, platforms } = await all.prepare(theApp(), stored, image, signal)
    expect(warnings).toMatchObject([{ severity: 'warning', reason: 'PlatformNotFound' }])
    expect(platforms.length).toBe(1)
    const other = theApp({}, { namespace: 'elsewhere' })
    expect(await failureOf(() => all.resolve(other, stored, undefined, signal))).toMatch(/^PlatformNotFound/)
  })

  test("takes the controller's own platform when nodes can't be read", async () => {
    serve(registry, both, '1')
    expect(
      (await images({ platforms: [] }).resolve(theApp(), stored, undefined, signal)).manifestDigest,
    ).toBe(amd.digest)
  })

  test('asks only whether the tag has moved, once an image is known', async () => {
    serve(registry, both, '1')
    const all = images()
    await all.resolve(theApp(), stored, undefined, signal)
    registry.requests.length = 0
    await all.resolve(theApp(), { ...stored, status: PINNED }, undefined, signal)
    expect(registry.log()).toEqual(['HEAD manifests/1'])
  })

  test('asks once for all apps of one tag that come at the same moment, and not again for a watch that may wait', async () => {
    serve(registry, both, '1')
    const all = images()
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(names.map((name) => all.resolve(theApp({}, { name }), stored, undefined, signal)))
    await all.resolve(theApp({}, { name: 'e' }), stored, undefined, signal)
    expect(registry.log().filter((line) => line.startsWith('HEAD'))).toHaveLength(1)
    expect(registry.log().filter((line) => line.includes('sha256:'))).toHaveLength(3)
    registry.requests.length = 0
    const question = { background: true, maxAgeMs: 60_000 }
    for (const name of names) await all.head(theApp({}, { name }), stored, signal, question)
    expect(registry.log()).toEqual(['HEAD manifests/1'])
  })

  test('asks for a digest by HEAD alone, and knows a lost one from one that it may not see', async () => {
    serve(registry, both, '1')
    const all = images()
    expect(await all.holds(theApp(), stored, both.digest, signal)).toBe(true)
    expect(registry.log()).toEqual([`HEAD manifests/${both.digest}`])
    expect(await all.holds(theApp(), stored, digestOf(Buffer.from('lost')), signal)).toBe(false)
    registry.times(9, /manifests\/sha256:/, respond(403))
    expect(await failureOf(() => all.holds(theApp(), stored, both.digest, signal))).toMatch(
      /^RegistryUnauthorized/,
    )
  })

  test('falls back on the tag where a registry does not know the digest that it named', async () => {
    serve(registry, both, '1')
    registry.times(1, /GET .*manifests\/sha256:/, respond(404))
    expect((await images().resolve(theApp(), stored, undefined, signal)).digest).toBe(both.digest)
  })

  test('recalls a digest without any request, for the same namespace only', async () => {
    serve(registry, both, '1')
    const all = images()
    await all.resolve(theApp(), stored, undefined, signal)
    registry.requests.length = 0
    const tagged = theApp({ image: `${registry.host}/team/app:other` })
    expect(await all.recall(tagged, stored, both.digest)).toMatchObject({
      digest: both.digest,
      canonical: `${registry.host}/team/app:other`,
    })
    expect(await all.recall(theApp({}, { namespace: 'elsewhere' }), stored, both.digest)).toBeUndefined()
    expect(
      await all.recall(theApp({ image: `${registry.host}/team/x:1` }), stored, both.digest),
    ).toBeUndefined()
    expect(await all.recall(theApp(), stored, amd.digest)).toBeUndefined()
    expect(registry.requests).toEqual([])
  })

  test.each([
    ['oci:/srv/app:1', /^ImageNotPullable: oci:\/srv\/app:1 is a path, .* push the image/],
    ['oci-archive:app.tar', /^ImageNotPullable/],
    ['team/UPPER', /^InvalidReference/],
  ])('refuses %s', async (image, expected) => {
    expect(await failureOf(() => images().resolve(theApp({ image }), stored, undefined, signal))).toMatch(
      expected,
    )
  })
})

describe('preparing', () => {
  const prepare = async (all: ClusterImages, app = theApp()) =>
    all.prepare(app, stored, await all.resolve(app, stored, undefined, signal), signal)

  test('reads every platform that a pod may land on, the main one first', async () => {
    serve(registry, both, '1')
    const prepared = await prepare(images({ platforms: ['linux/arm64', 'linux/amd64'] }))
    expect(prepared.platforms.map(({ tree }) => pathsOf(tree))).toEqual([
      ['etc', 'etc/passwd', 'only-on-arm64'],
      ['etc', 'etc/passwd', 'only-on-amd64'],
    ])
    expect(prepared.tree).toBe(prepared.platforms[0]?.tree)
    expect(prepared).toMatchObject({ rootfsDir: '', warnings: [], image: { manifestDigest: arm.digest } })
  })

  test('reads layers once for many apps, and again never', async () => {
    serve(registry, both, '1')
    const all = images()
    await Promise.all([1, 2, 3].map(() => prepare(all)))
    const before = blobRequests()
    expect(before).toBeLessThanOrEqual(2 + 3)
    await prepare(all)
    expect(blobRequests()).toBe(before)
  })

  test('lets others read on when the one who reads is stopped', async () => {
    serve(registry, both, '1')
    const all = images()
    const image = await all.resolve(theApp(), stored, undefined, signal)
    const stop = new AbortController()
    registry.times(1, /GET .*blobs/, () => {
      stop.abort(new Error('stopped'))
      return true
    })
    const first = all.prepare(theApp(), stored, image, stop.signal)
    const second = all.prepare(theApp(), stored, image, signal)
    await expect(first).rejects.toThrow('stopped')
    expect(pathsOf((await second).tree)).toContain('only-on-amd64')
  })

  const plain = imageFor(AMD64)
  test.each<[string, Setup]>([
    ['the network breaks', {}],
    ['the image is too large', { limits: { maxEntries: 1 } }],
  ])(
    'goes on without checks when %s, and says so',
    async (why, setup) => {
      serve(registry, plain, '1')
      const all = images(setup)
      const app = theApp({ user: '7:8' })
      const image = await all.resolve(app, stored, undefined, signal)
      if (why === 'the network breaks') registry.on(/GET .*blobs/, cut)
      const prepared = await all.prepare(app, stored, image, signal)
      expect(prepared.platforms).toMatchObject([{ checked: false }])
      expect(prepared.tree.lookup([])).toBeUndefined()
      expect(prepared.warnings).toMatchObject([
        { severity: 'warning', reason: 'ChecksNotMade', path: 'spec.image' },
      ])
    },
    60_000,
  )

  test('says nothing of attributes: nodes unpack the image, and they keep what they keep', async () => {
    const labelled = layer([file('a', '', { xattrs: { 'security.selinux': 'label', 'user.a': 'b' } })])
    serve(registry, buildImage({ layers: [labelled], platform: AMD64 }), '1')
    expect((await prepare(images())).warnings).toEqual([])
  })

  test('bounds metadata over all layers together', async () => {
    const own = Array.from({ length: 3 }, (_, index) => layer([file(`${index}`.repeat(50))]))
    serve(registry, buildImage({ layers: own, platform: AMD64, config: { Volumes: ['/data'] } }), '1')
    expect((await prepare(images({ limits: { maxMetadataBytes: 150 } }))).platforms).toMatchObject([
      { checked: true },
    ])
    expect(await failureOf(() => prepare(images({ limits: { maxMetadataBytes: 149 } })))).toMatch(
      /^LimitExceeded: layer \d \(\d{50}\): more than 149 bytes .* \(maxMetadataBytes\); the layers are needed/,
    )
  })

  test.each<[string, object, object, RegExp]>([
    ['the user is a name', { User: 'app' }, {}, /^LimitExceeded: .*\/etc\/passwd/],
    ['the resource names the user', {}, { user: 'app' }, /numeric spec\.user/],
    ['the image has a VOLUME', { Volumes: ['/data'] }, {}, /volume \/data is seeded/],
    ['the resource has a volume', {}, { volumes: [{ path: '/data' }] }, /volume \/data is seeded/],
  ])('does not go on without layers when %s', async (_, config, spec, expected) => {
    serve(registry, imageFor(AMD64, config), '1')
    expect(await failureOf(() => prepare(images({ limits: { maxEntries: 1 } }), theApp(spec)))).toMatch(
      expected,
    )
  })

  test('never goes on with wrong bytes', async () => {
    serve(registry, plain, '1')
    const all = images()
    const image = await all.resolve(theApp(), stored, undefined, signal)
    registry.on(/GET .*blobs/, respond(200, {}, 'something else'))
    expect(await failureOf(() => all.prepare(theApp(), stored, image, signal))).toMatch(/^DigestMismatch/)
  })
})

describe('a registry that is slow', () => {
  const elsewhere = { namespace: 'elsewhere' }
  const quick = buildImage({ layers: [layer([file('quick')])], platform: AMD64 })

  /** Serves the image, but never ends a layer of `team/app`; `closed` resolves when nobody listens any more. */
  function dripping(): { readonly closed: Promise<void>; readonly begun: Promise<void> } {
    const closed = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    serve(registry, amd, '1')
    serve(registry, quick, '1', 'team/quick')
    registry.on(/GET .*team\/app\/blobs/, (request, response) => {
      if (!request.path.endsWith(sha256(shared))) return false
      response.on('close', closed.resolve)
      response.writeHead(200, { 'content-length': String(shared.length) })
      response.write(shared.subarray(0, 1), () => begun.resolve())
      return true
    })
    return { closed: closed.promise, begun: begun.promise }
  }
  const prepare = async (all: ClusterImages, app: App) =>
    all.prepare(app, stored, await all.resolve(app, stored, undefined, signal), signal)
  const quickApp = (name: string, metadata: object = {}) =>
    theApp({ image: `${registry.host}/team/quick:1` }, { name, ...metadata })

  test('is given up, and does not hold an image of another namespace meanwhile', async () => {
    const { begun } = dripping()
    const all = images({ pace: { ...DEFAULT_PACE, graceMs: 2000 } })
    const app = theApp({ user: 'app' })
    const slow = failureOf(() => prepare(all, app))
    await begun
    const other = await prepare(all, quickApp('other', elsewhere))
    expect(pathsOf(other.tree)).toEqual(['quick'])
    expect(await slow).toMatch(
      /^RegistryUnavailable: the registry sent \d+ bytes of the layers in 2 s; .*numeric/,
    )
  }, 20_000)

  test('holds no twin of another namespace that has the same image', async () => {
    const { begun } = dripping()
    serve(registry, amd, '1', 'honest/app')
    const all = images()
    const slow = prepare(all, theApp()).catch(String)
    await begun
    const twin = theApp({ image: `${registry.host}/honest/app:1` }, elsewhere)
    expect(pathsOf((await prepare(all, twin)).tree)).toContain('only-on-amd64')
    all.close()
    expect(await slow).toBe('Error: closed')
  })

  test('is waited for by no pass; the app is told what it waits for and woken when it comes', async () => {
    const { begun, closed } = dripping()
    const woken: string[] = []
    const { promise: all10, resolve: onAll } = Promise.withResolvers<void>()
    const onDone = (app: string): void => {
      woken.push(app)
      onAll()
    }
    const all = images({ patienceMs: 200, onDone })
    const [app, next] = [theApp(), quickApp('next')]
    await expect(prepare(all, app)).rejects.toThrow(new NotYet("the image's layers are still being read"))
    await begun
    await expect(prepare(all, next)).rejects.toThrow(
      new NotYet("the image's layers are not read yet: other images come first"),
    )
    all.forget(app.metadata)
    await closed
    await all10
    expect(woken).toEqual(['chat/next'])
    expect(pathsOf((await prepare(all, next)).tree)).toEqual(['quick'])
  })

  test('keeps no worker when it does not even tell what a tag is', async () => {
    serve(registry, quick, '1', 'team/quick')
    registry.on(/team\/app\/manifests/, silent)
    const all = images({ patienceMs: 200 })
    await expect(all.resolve(theApp(), stored, undefined, signal)).rejects.toThrow(
      new NotYet(`${registry.host} has not answered yet`),
    )
    const since = performance.now()
    await expect(all.resolve(theApp(), stored, undefined, signal)).rejects.toThrow(NotYet)
    expect(performance.now() - since).toBeLessThan(150)
    expect(await all.resolve(quickApp('quick'), stored, undefined, signal)).toMatchObject({
      digest: quick.digest,
    })
  })

  test('keeps no memory for images whose trees would fill it', async () => {
    serve(registry, quick, '1', 'team/quick')
    const app = quickApp('quick')
    const { warnings } = await prepare(images({ treeCacheBytes: 10 }), app)
    expect(warnings).toMatchObject([{ reason: 'ChecksNotMade', message: /must be at most 10$/ }])
  })
})

describe('credentials', () => {
  const secretsOf = (users: Readonly<Record<string, string>>): SecretReader => ({
    readServiceAccount: () => Promise.resolve([]),
    readSecret: (namespace, name) => {
      const password = namespace === KEY.namespace ? users[name] : undefined
      if (password === undefined) return Promise.resolve(undefined)
      const auths = { [registry.host]: { username: name, password } }
      const data = { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })) }
      return Promise.resolve({ name, type: 'kubernetes.io/dockerconfigjson', data })
    },
  })

  test('of all matching secrets are tried, as the kubelet does', async () => {
    serve(registry, both, '1')
    registry.demandBasic({ right: 'pw' })
    const app = theApp({ pullSecrets: [{ name: 'wrong' }, { name: 'right' }] })
    const all = images({ secrets: secretsOf({ wrong: 'pw', right: 'pw' }) })
    expect((await all.resolve(app, stored, undefined, signal)).digest).toBe(both.digest)
  })

  test('that are missing are named when the registry refuses, and a warning when it does not', async () => {
    serve(registry, both, '1')
    const app = theApp({ pullSecrets: [{ name: 'gone' }] })
    const all = images({ secrets: secretsOf({}) })
    const image = await all.resolve(app, stored, undefined, signal)
    const { warnings } = await all.prepare(app, stored, image, signal)
    expect(warnings).toMatchObject([{ reason: 'PullSecretInvalid', path: 'spec.pullSecrets[0].name' }])
    registry.demandBasic({ right: 'pw' })
    const other = theApp({ image: `${registry.host}/team/app:2`, pullSecrets: [{ name: 'gone' }] })
    expect(await failureOf(() => all.resolve(other, stored, undefined, signal))).toMatch(
      /^RegistryUnauthorized: .*there is no Secret gone in namespace chat/,
    )
  })

  test("that may not be read are the reason when the registry refuses, and none when it doesn't", async () => {
    serve(registry, both, '1')
    const secrets: SecretReader = {
      ...NO_SECRETS,
      readServiceAccount: () =>
        Promise.reject(new ExpectedError('PullSecretForbidden', 'the missing rule', { retry: 'backoff' })),
    }
    expect((await images({ secrets }).resolve(theApp(), stored, undefined, signal)).digest).toBe(both.digest)
    registry.demandBasic({ right: 'pw' })
    expect(await failureOf(() => images({ secrets }).resolve(theApp(), stored, undefined, signal))).toMatch(
      /^PullSecretForbidden: .*; the missing rule$/,
    )
  })
})

describe('where the operator allows some registries only', () => {
  const allowing = (...allowedRegistries: string[]) => images({ config: { allowedRegistries } })

  test('others are not even asked', async () => {
    serve(registry, both, '1')
    const all = allowing('docker.io', 'registry.example.com')
    expect(await failureOf(() => all.resolve(theApp(), stored, undefined, signal))).toBe(
      `ImageNotPullable: ${registry.host} is no registry that the operator allows; there are docker.io, registry.example.com`,
    )
    expect(await failureOf(() => all.head(theApp(), stored, signal))).toMatch(/^ImageNotPullable/)
    expect(registry.requests).toEqual([])
  })

  test('these are', async () => {
    serve(registry, both, '1')
    const image = await allowing('docker.io', registry.host).resolve(theApp(), stored, undefined, signal)
    expect(image.digest).toBe(both.digest)
  })
})

describe('mapped layouts', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'fairlead-layouts-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const mapped = (prefix: string, at = folder) => images({ config: { layouts: [{ prefix, path: at }] } })
  const nowhere = (image: string) => theApp({ image: `registry.invalid/${image}` })

  test('resolve and check without a network, under the name that nodes pull', async () => {
    await writeLayout(folder, [{ index: both, tag: 'registry.invalid/team/app:1' }])
    const all = mapped('registry.invalid/team/')
    const app = nowhere('team/app:1')
    const image = await all.resolve(app, stored, undefined, signal)
    expect(image).toMatchObject({
      digest: both.digest,
      canonical: 'registry.invalid/team/app:1',
      reference: { kind: 'registry', original: 'registry.invalid/team/app:1' },
      source: { kind: 'oci' },
    })
    expect(pathsOf((await all.prepare(app, stored, image, signal)).tree)).toContain('only-on-amd64')
    expect((await all.head(app, stored, signal)).digest).toBe(both.digest)
    const strict = images({
      config: { layouts: [{ prefix: 'registry.invalid/team/', path: folder }], allowedRegistries: [] },
    })
    expect((await strict.resolve(app, stored, undefined, signal)).digest).toBe(both.digest)
    expect(await failureOf(() => all.resolve(nowhere('team/other:1'), stored, undefined, signal))).toMatch(
      /^ImageNotFound/,
    )
  })

  test('may be a folder of layouts named by repository, or one for a single repository', async () => {
    await writeLayout(path.join(folder, 'group/app'), [{ index: both, tag: '1' }])
    for (const [prefix, at] of [
      ['registry.invalid/', folder],
      ['registry.invalid/group/', path.join(folder, 'group')],
      ['registry.invalid/group/app/', path.join(folder, 'group/app')],
    ] as const)
      expect(
        (await mapped(prefix, at).resolve(nowhere('group/app:1'), stored, undefined, signal)).digest,
      ).toBe(both.digest)
  })

  test('without the file oci-layout are read where the operator says so', async () => {
    const own = path.join(folder, 'app')
    await writeLayout(own, [{ index: both, tag: '1' }])
    await rm(path.join(own, 'oci-layout'))
    const layout = { prefix: 'registry.invalid/', path: folder }
    const resolved = (lenient: boolean) =>
      images({ config: { layouts: [{ ...layout, lenient }] } }).resolve(
        nowhere('app:1'),
        stored,
        undefined,
        signal,
      )
    expect(await failureOf(() => resolved(false))).toMatch(/^LayoutInvalid/)
    expect((await resolved(true)).digest).toBe(both.digest)
  })

  test('count by their longest prefix, and whole components only', async () => {
    serve(registry, amd, '1', 'teammate/app')
    await writeLayout(folder, [{ index: both, tag: '1' }])
    const layouts = [
      { prefix: `${registry.host}/`, path: '/nowhere' },
      { prefix: `${registry.host}/team/app/`, path: folder },
      { prefix: `${registry.host}/team/`, path: '/nowhere' },
    ]
    const all = images({ config: { layouts } })
    expect((await all.resolve(theApp(), stored, undefined, signal)).digest).toBe(both.digest)
    const mate = images({ config: { layouts: [{ prefix: `${registry.host}/team/`, path: '/nowhere' }] } })
    const app = theApp({ image: `${registry.host}/teammate/app:1` })
    expect((await mate.resolve(app, stored, undefined, signal)).digest).toBe(amd.digest)
  })
})
