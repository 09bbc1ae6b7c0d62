/** What documents may say, as a registry serves them: rules M2–M8, M11, M13, M14, B4, X2, X4. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/image/media-types.ts'
import type { Digest } from '../../src/image/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { respond, sha256 } from '../support/hostile-registry.ts'
import { jsonBytes } from '../support/layout.ts'
import {
  AMD64,
  app,
  arm,
  failure,
  image,
  layerBytes,
  layerOf,
  mirror,
  multi,
  other,
  read,
  registry,
  resolve,
  serve,
  signal,
  sourceOf,
} from './world.ts'

type Json = Readonly<Record<string, unknown>>
const manifest = image.manifest as unknown as Json
const amdEntry = { mediaType: OCI_MANIFEST, digest: image.digest, size: jsonBytes(image.manifest).length }

/** Serves a document under the tag `1`, with everything of the images below it. */
function tagged(document: unknown, mediaType: string = OCI_MANIFEST): Digest {
  for (const one of [image, other, arm]) serve(registry, one)
  const bytes = typeof document === 'string' ? Buffer.from(document) : jsonBytes(document)
  return registry.manifest('team/app', { mediaType, bytes }, '1') as Digest
}
const indexOf = (...manifests: readonly unknown[]) => ({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })

describe('a document', () => {
  test.each([
    ['its type with parameters', manifest, `${OCI_MANIFEST}; charset=utf-8`],
    ['no type but JSON', manifest, 'application/json'],
    ['no type of its own', { ...manifest, mediaType: undefined }, OCI_MANIFEST],
  ])('M2 is read with %s', async (_name, document, mediaType) => {
    const digest = tagged(document, mediaType)
    expect((await resolve()).digest).toBe(digest)
  })

  test.each<[string, unknown, string, string]>([
    ['M2 of another type than announced', manifest, OCI_INDEX, 'InvalidManifest: '],
    [
      'M2 of a type that nobody knows',
      { ...manifest, mediaType: 'application/x' },
      'application/x',
      'UnsupportedMediaType: ',
    ],
    [
      'M3 that is a manifest and an index',
      { ...manifest, manifests: [amdEntry] },
      OCI_MANIFEST,
      'InvalidManifest: ',
    ],
    ['M3 that is an index with layers', { ...indexOf(amdEntry), layers: [] }, OCI_INDEX, 'InvalidManifest: '],
    [
      'M4 of schema 1',
      { schemaVersion: 1, name: 'x', fsLayers: [] },
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'UnsupportedMediaType: ',
    ],
    ['M4 of schema 1 as text', { schemaVersion: 1, fsLayers: [] }, 'text/plain', 'UnsupportedMediaType: '],
    [
      'M14 with a key twice',
      JSON.stringify(manifest).replace('{', '{"layers":[],'),
      OCI_MANIFEST,
      'InvalidManifest: ',
    ],
    [
      'M14 with a key in two cases',
      JSON.stringify(manifest).replace('{', '{"Layers":[],'),
      OCI_MANIFEST,
      'InvalidManifest: ',
    ],
    [
      'M14 with a key in another case',
      JSON.stringify(manifest).replace('"config"', '"Config"'),
      OCI_MANIFEST,
      'InvalidManifest: ',
    ],
    [
      'M7 longer than 4 MiB',
      `${JSON.stringify(manifest)}${' '.repeat(4 * 1024 * 1024)}`,
      OCI_MANIFEST,
      'LimitExceeded: ',
    ],
    [
      'B4 with a config longer than 4 MiB',
      { ...manifest, config: { ...image.manifest.config, size: 5_000_000 } },
      OCI_MANIFEST,
      'LimitExceeded: ',
    ],
    [
      'M12 with data that is something else',
      { ...manifest, config: { ...image.manifest.config, data: 'e30=' } },
      OCI_MANIFEST,
      'DigestMismatch: ',
    ],
  ])('%s is refused', async (_name, document, mediaType, reason) => {
    tagged(document, mediaType)
    expect(await failure()).toContain(reason)
  })

  test('M5 that is an artifact has a digest, and is refused as an image by that digest', async () => {
    const digest = tagged({
      ...manifest,
      artifactType: 'application/x.chart',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256(Buffer.from('{}')), size: 2 },
    })
    expect((await sourceOf(app()).head(signal)).digest).toBe(digest)
    expect(await failure()).toMatch(new RegExp(`^UnsupportedMediaType: manifest ${digest} is an artifact`))
  })

  test('M6 is hashed by the algorithm that it is asked for', async () => {
    tagged(manifest)
    const sha512 = `sha512:${createHash('sha512').update(jsonBytes(image.manifest)).digest('hex')}`
    registry.on(/GET .*sha512/, respond(200, { 'content-type': OCI_MANIFEST }, jsonBytes(image.manifest)))
    expect((await resolve({}, `@${sha512}`)).digest).toBe(sha512)
    registry.on(/GET .*sha512/, respond(200, { 'content-type': OCI_MANIFEST }, jsonBytes(other.manifest)))
    expect(await failure({}, `@${sha512}`)).toMatch(/^DigestMismatch: /)
  })

  test('M7 is not allocated by the length that is promised', async () => {
    tagged(manifest)
    const before = process.memoryUsage().arrayBuffers
    registry.on(/GET .*manifests/, (_request, response) => {
      response.writeHead(200, { 'content-type': OCI_MANIFEST, 'content-length': String(2 ** 40) })
      return response.write('{') && response.destroy() !== undefined
    })
    expect(await failure()).toMatch(/^RegistryUnavailable: /)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  test('M8 is asked by GET where HEAD names no digest', async () => {
    const digest = tagged(manifest)
    registry.on(/^HEAD/, respond(200, { 'content-length': '9' }))
    expect((await resolve()).digest).toBe(digest)
    expect(registry.log().slice(0, 2)).toEqual(['HEAD manifests/1', 'GET manifests/1'])
  })

  test('M13 names other places for its layers, and they are not asked', async () => {
    const urls = [`${mirror.url}/evil`]
    tagged({ ...manifest, layers: [{ ...layerOf, urls }], config: { ...image.manifest.config, urls } })
    const source = sourceOf(app())
    await source.resolve(AMD64, signal)
    expect(await read(source)).toEqual(layerBytes)
    expect(mirror.requests).toEqual([])
  })
})

describe('an index', () => {
  const of = (os: string, architecture: string, variant?: string) => ({
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
  })
  const entry = (platform: unknown, digest: string = image.digest) => ({ ...amdEntry, digest, platform })
  const otherEntry = { ...amdEntry, digest: other.digest, size: jsonBytes(other.manifest).length }

  test.each<[string, readonly unknown[], string]>([
    [
      'twins: the first',
      [entry(of('linux', 'amd64')), { ...otherEntry, platform: of('linux', 'amd64') }],
      image.digest,
    ],
    [
      'variants: the plain one',
      [{ ...otherEntry, platform: of('linux', 'amd64', 'v3') }, entry(of('linux', 'amd64'))],
      image.digest,
    ],
    ['no platform: its config says', [amdEntry], image.digest],
    [
      'a version of the system',
      [{ ...amdEntry, platform: { ...of('linux', 'amd64'), 'os.version': '6.1' } }],
      image.digest,
    ],
    [
      'attestations before it',
      [entry(of('unknown', 'unknown'), `sha256:${'9'.repeat(64)}`), entry(of('linux', 'amd64'))],
      image.digest,
    ],
  ])('M11 with %s', async (_name, manifests, expected) => {
    tagged(indexOf(...manifests), OCI_INDEX)
    expect((await resolve()).manifestDigest).toBe(expected)
  })

  test('M11 in an index is followed', async () => {
    const inner = jsonBytes(indexOf(entry(of('linux', 'amd64'))))
    registry.manifest('team/app', { mediaType: OCI_INDEX, bytes: inner })
    const digest = tagged(
      indexOf({ mediaType: OCI_INDEX, digest: sha256(inner), size: inner.length }),
      OCI_INDEX,
    )
    expect(await resolve()).toMatchObject({ digest, manifestDigest: image.digest })
  })

  test.each<[string, readonly unknown[]]>([
    ['nothing', []],
    ['another platform only', [entry(of('linux', 's390x'))]],
    ['a variant that this machine may not have', [entry(of('linux', 'amd64', 'v4'))]],
  ])('M11 with %s has nothing for this platform', async (_name, manifests) => {
    tagged(indexOf(...manifests), OCI_INDEX)
    expect(await failure()).toMatch(/^PlatformNotFound: /)
  })
})

describe('a mirror', () => {
  const registries = (more: { readonly resolve?: boolean; readonly namespace?: boolean }) => ({
    [registry.host]: { mirrors: [{ url: mirror.url, ...more }] },
  })

  test('X2 that stands for several registries is told which one is meant, and nobody else is', async () => {
    serve(registry, image, '1')
    serve(mirror, image)
    await read(sourceOf(app(), { registries: registries({ namespace: true }) }))
    await resolve({ registries: registries({ namespace: true }) })
    expect(new Set(mirror.requests.map(({ query }) => query.get('ns')))).toEqual(new Set([registry.host]))
    expect(registry.requests.every(({ query }) => !query.has('ns'))).toBe(true)
    mirror.requests.length = 0
    await resolve({ registries: registries({}) })
    expect(mirror.requests.every(({ query }) => !query.has('ns'))).toBe(true)
  })

  test('X2 that answers for another registry is passed over', async () => {
    serve(registry, image, '1')
    serve(mirror, other, '1')
    let said = 'elsewhere.example'
    mirror.on(/./, (_request, response) => {
      response.setHeader('oci-namespace', said)
      return false
    })
    const setup = { registries: registries({ resolve: true, namespace: true }) }
    expect((await resolve(setup)).digest).toBe(image.digest)
    said = registry.host
    expect((await resolve(setup)).digest).toBe(other.digest)
  })

  test('X4 cannot hand out other bytes for a digest: the registry is asked then', async () => {
    serve(registry, multi, '1')
    serve(mirror, multi)
    const lie = respond(200, { 'content-type': OCI_MANIFEST }, jsonBytes(other.manifest))
    mirror.on(new RegExp(`manifests/${image.digest}`), lie)
    mirror.on(/blobs/, respond(200, {}, Buffer.alloc(image.manifest.config.size, 0x20)))
    const image1 = await resolve({ registries: registries({}) })
    expect([image1.manifestDigest, image1.configDigest]).toEqual([image.digest, image.configDigest])
  })

  test('X4 that hands out wrong layers is found out before the last piece, and asked last from then on', async () => {
    serve(registry, image, '1')
    mirror.on(/blobs/, respond(200, {}, Buffer.alloc(layerBytes.length)))
    const source = sourceOf(app(), { registries: registries({}) })
    expect(await failureOf(() => read(source))).toMatch(/^DigestMismatch: /)
    expect(await read(source)).toEqual(layerBytes)
  })
})
