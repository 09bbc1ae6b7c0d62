import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/image/digest.ts'
import { checkRunnable, parseManifestOrIndex } from '../../src/image/manifest.ts'
import * as types from '../../src/image/media-types.ts'
import { failureOf } from '../support/expected-error.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const config = { mediaType: types.OCI_CONFIG, digest: DIGEST, size: 2 }
const layer = { mediaType: LAYER, digest: DIGEST, size: 3 }
const manifest = { schemaVersion: 2, mediaType: types.OCI_MANIFEST, config, layers: [layer] }
const entry = {
  mediaType: types.OCI_MANIFEST,
  digest: DIGEST,
  size: 4,
  platform: { os: 'linux', architecture: 'amd64' },
}
const index = { schemaVersion: 2, mediaType: types.OCI_INDEX, manifests: [entry] }
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const { mediaType: _type, ...untyped } = manifest

describe('manifests and indexes', () => {
  test.each([
    ['an OCI manifest', manifest, undefined, types.OCI_MANIFEST],
    [
      'an OCI manifest announced with parameters',
      manifest,
      `${types.OCI_MANIFEST}; charset=utf-8`,
      types.OCI_MANIFEST,
    ],
    [
      'an OCI manifest announced in other case',
      manifest,
      types.OCI_MANIFEST.toUpperCase(),
      types.OCI_MANIFEST,
    ],
    ['a manifest without type of its own', untyped, types.DOCKER_MANIFEST, types.DOCKER_MANIFEST],
    ['a manifest without any type', untyped, undefined, types.OCI_MANIFEST],
    ['a manifest announced as JSON', manifest, 'application/json', types.OCI_MANIFEST],
    ['a manifest announced as bytes', manifest, 'application/octet-stream', types.OCI_MANIFEST],
    ['a manifest announced as text', manifest, 'text/plain; charset=utf-8', types.OCI_MANIFEST],
    [
      'a Docker manifest',
      { ...manifest, mediaType: types.DOCKER_MANIFEST },
      types.DOCKER_MANIFEST,
      types.DOCKER_MANIFEST,
    ],
    ['layers that Go wrote as null', { ...manifest, layers: null }, undefined, types.OCI_MANIFEST],
  ])('reads %s', (_name, value, announced, mediaType) => {
    const result = parseManifestOrIndex(bytes(value), announced)
    expect(result).toMatchObject({ kind: 'manifest', manifest: { mediaType, config } })
  })

  test.each([
    ['an OCI index', index, undefined, types.OCI_INDEX],
    ['a Docker list', { ...index, mediaType: types.DOCKER_LIST }, types.DOCKER_LIST, types.DOCKER_LIST],
    ['an index without entries', { ...index, manifests: [] }, undefined, types.OCI_INDEX],
  ])('reads %s', (_name, value, announced, mediaType) => {
    expect(parseManifestOrIndex(bytes(value), announced)).toMatchObject({
      kind: 'index',
      index: { mediaType },
    })
  })

  test.each([
    [
      'both manifests and layers',
      { ...manifest, manifests: [entry] },
      undefined,
      'InvalidManifest',
      'one or the other',
    ],
    ['both manifests and config', { ...index, config }, undefined, 'InvalidManifest', 'one or the other'],
    ['neither', { schemaVersion: 2 }, undefined, 'InvalidManifest', 'neither'],
    ['no object', [], undefined, 'InvalidManifest', 'must be an object, found a list'],
    ['another type than announced', manifest, types.OCI_INDEX, 'InvalidManifest', 'announced as'],
    [
      'an index that says it is a manifest',
      { ...index, mediaType: types.OCI_MANIFEST },
      undefined,
      'InvalidManifest',
      'members of an index',
    ],
    [
      'a manifest announced as an index',
      untyped,
      types.OCI_INDEX,
      'InvalidManifest',
      'members of a manifest',
    ],
    ['a manifest of the other family', manifest, types.DOCKER_MANIFEST, 'InvalidManifest', 'announced as'],
    [
      'an unknown type',
      { ...manifest, mediaType: 'application/x' },
      undefined,
      'UnsupportedMediaType',
      'application/x',
    ],
    ['an unknown announced type', manifest, 'text/html', 'UnsupportedMediaType', 'text/html'],
    ['schema 1 by number', { schemaVersion: 1, fsLayers: [] }, undefined, 'UnsupportedMediaType', 'schema 1'],
    [
      'schema 1 by Content-Type',
      manifest,
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'UnsupportedMediaType',
      'schema 1',
    ],
    [
      'another schema version',
      { ...manifest, schemaVersion: 3 },
      undefined,
      'InvalidManifest',
      'schemaVersion must be 2',
    ],
    [
      'layers in other case',
      { ...untyped, layers: undefined, Layers: [layer] },
      undefined,
      'InvalidManifest',
      'must be written layers',
    ],
    [
      'a digest in other case',
      { ...manifest, config: { ...config, Digest: DIGEST } },
      undefined,
      'InvalidManifest',
      'differ by case',
    ],
    [
      'a size below zero',
      { ...manifest, config: { ...config, size: -1 } },
      undefined,
      'InvalidManifest',
      'config.size must be a number of bytes',
    ],
    [
      'a size with a fraction',
      { ...manifest, layers: [{ ...layer, size: 1.5 }] },
      undefined,
      'InvalidManifest',
      'layers[0].size',
    ],
    [
      'a size beyond counting',
      { ...manifest, layers: [{ ...layer, size: 2 ** 60 }] },
      undefined,
      'InvalidManifest',
      'layers[0].size',
    ],
    [
      'a size as text',
      { ...manifest, config: { ...config, size: '2' } },
      undefined,
      'InvalidManifest',
      'config.size',
    ],
    [
      'a digest that is a path',
      { ...manifest, config: { ...config, digest: 'sha256:../../x' } },
      undefined,
      'InvalidManifest',
      'config.digest is not a digest',
    ],
    [
      'a digest of another algorithm',
      { ...index, manifests: [{ ...entry, digest: 'md5:00' }] },
      undefined,
      'InvalidManifest',
      'manifests[0].digest',
    ],
    [
      'a missing type',
      { ...manifest, layers: [{ ...layer, mediaType: '' }] },
      undefined,
      'InvalidManifest',
      'layers[0].mediaType',
    ],
    [
      'annotations that are no texts',
      { ...manifest, annotations: { a: 1 } },
      undefined,
      'InvalidManifest',
      'annotations.a must be a string',
    ],
    [
      'layers that are no list',
      { ...manifest, layers: {} },
      undefined,
      'InvalidManifest',
      'layers must be a list',
    ],
    [
      'data that is not base64',
      { ...manifest, config: { ...config, data: '!!' } },
      undefined,
      'InvalidManifest',
      'config.data must be base64',
    ],
    [
      'data of another size',
      { ...manifest, config: { ...config, data: 'e30xMjM=' } },
      undefined,
      'DigestMismatch',
      'more than the 2 bytes',
    ],
    [
      'data of another digest',
      { ...manifest, config: { ...config, data: 'e30=' } },
      undefined,
      'DigestMismatch',
      'has digest',
    ],
  ])('refuses %s', async (_name, value, announced, reason, problem) => {
    const failure = await failureOf(() => parseManifestOrIndex(bytes(value), announced))
    expect(failure).toContain(`${reason}: `)
    expect(failure).toContain(problem)
  })

  test('hands out embedded data that is what the descriptor says', () => {
    const data = Buffer.from('{}')
    const value = {
      ...manifest,
      config: { ...config, digest: digestOf(data), data: data.toString('base64') },
    }
    expect(parseManifestOrIndex(bytes(value))).toMatchObject({ manifest: { config: { data } } })
  })

  test('reads platforms, and takes an empty one for none', () => {
    const platform = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.1', variant: '' }
    const value = {
      ...index,
      manifests: [
        { ...entry, platform },
        { ...entry, platform: {} },
      ],
    }
    const result = parseManifestOrIndex(bytes(value))
    const platforms = result.kind === 'index' ? result.index.manifests.map((item) => item.platform) : []
    expect(platforms).toEqual([{ os: 'windows', architecture: 'amd64', osVersion: '10.0.1' }, undefined])
  })
})

describe('what can be run', () => {
  const parse = (value: unknown) => {
    const result = parseManifestOrIndex(bytes(value))
    if (result.kind === 'index') throw new Error('expected a manifest')
    return result.manifest
  }

  test.each([
    LAYER,
    'application/vnd.oci.image.layer.v1.tar',
    'application/vnd.oci.image.layer.v1.tar+zstd',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ])('accepts layers of type %s', (mediaType) => {
    const value = parse({ ...manifest, layers: [{ ...layer, mediaType }] })
    expect(() => checkRunnable(value, 'image x')).not.toThrow()
  })

  test('is at most 128 layers', async () => {
    const of = (count: number) => parse({ ...manifest, layers: Array.from({ length: count }, () => layer) })
    expect(() => checkRunnable(of(128), 'image x')).not.toThrow()
    expect(await failureOf(() => checkRunnable(of(129), 'image x'))).toBe(
      'LimitExceeded: image x has 129 layers; must be at most 128',
    )
  })

  test.each([
    [
      'a chart',
      { ...manifest, config: { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } },
      'is an artifact',
    ],
    [
      'an artifact with empty config',
      {
        ...manifest,
        artifactType: 'a/b',
        config: { ...config, mediaType: 'application/vnd.oci.empty.v1+json' },
      },
      'is an artifact',
    ],
    [
      'a layer that is no tar',
      { ...manifest, layers: [layer, { ...layer, mediaType: 'application/zip' }] },
      'layers[1] has type application/zip',
    ],
  ])('refuses %s', async (_name, value, problem) => {
    const failure = await failureOf(() => checkRunnable(parse(value), 'image x'))
    expect(failure).toContain('UnsupportedMediaType: image x')
    expect(failure).toContain(problem)
  })
})
