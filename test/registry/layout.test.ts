import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseReference } from '../../src/image/reference.ts'
import type { Descriptor, Digest } from '../../src/image/types.ts'
import { ANONYMOUS } from '../../src/registry/keychain.ts'
import type { LayoutFiles } from '../../src/registry/layout-files.ts'
import { LayoutSource } from '../../src/registry/layout-source.ts'
import { openSource } from '../../src/registry/open.ts'
import { failureOf } from '../support/expected-error.ts'
import { dir, file, layer } from '../support/layer.ts'
import { isMissing } from '../support/programs.ts'
import {
  blobPath,
  buildImage,
  buildIndex,
  jsonBytes,
  layoutIndex,
  writeArchive,
  writeLayout,
} from '../support/layout.ts'
import type { LayoutItem } from '../support/layout.ts'

const AMD64 = { os: 'linux', architecture: 'amd64' }
const ARM64 = { os: 'linux', architecture: 'arm64' }
const signal = new AbortController().signal
const tar = layer([dir('etc'), file('etc/motd', 'hello')])

const a = buildImage({ layers: [tar], platform: AMD64, config: { Env: ['WHICH=a'] } })
const b = buildImage({ layers: [tar], platform: AMD64, config: { Env: ['WHICH=b'] } })
const arm = buildImage({ layers: [tar], platform: ARM64 })
const docker = buildImage({ layers: [tar], platform: AMD64, mediaTypes: 'docker' })
const multi = buildIndex([a, arm])
const CONTAINERD = 'io.containerd.image.name'
const REF_NAME = 'org.opencontainers.image.ref.name'
const MIB = 2 ** 20

let root: string
let folder: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'fairlead-layout-'))
})
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'l-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const open = (text: string, baseDir = folder) =>
  openSource(parseReference(text), { baseDir, registries: {}, keychain: ANONYMOUS })
const resolve = async (text: string, platform = AMD64, pin?: Digest) => {
  const source = open(text)
  try {
    return await source.resolve(platform, signal, pin)
  } finally {
    await source.close()
  }
}
const path = (digest: Digest) => join(folder, blobPath(digest))
const editIndex = async (change: (index: { manifests: Record<string, unknown>[] }) => unknown) => {
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as {
    manifests: Record<string, unknown>[]
  }
  await writeFile(join(folder, 'index.json'), JSON.stringify(change(index) ?? index))
}

async function bytesOf(source: ReturnType<typeof open>, descriptor: Descriptor): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source.blob(descriptor, signal)) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

describe('finding an image in a layout', () => {
  const tagged: LayoutItem = { image: a, tag: '1.0' }
  test.each<[string, readonly LayoutItem[], string, Digest]>([
    ['the exact ref.name', [tagged, { image: b, tag: '2.0' }], ':2.0', b.digest],
    ['the only entry, without a name', [tagged], '', a.digest],
    ['the only entry without a name of its own', [{ image: a }], '', a.digest],
    ['one image listed twice', [tagged, { image: a, tag: '1.0' }], ':1.0', a.digest],
    ['one image under two names, without a name', [tagged, { image: a, tag: '2' }], '', a.digest],
    [
      'ref.name before the full name',
      [
        { image: a, annotations: { [CONTAINERD]: '1.0' } },
        { image: b, tag: '1.0' },
      ],
      ':1.0',
      b.digest,
    ],
    [
      'the full name that ends with the tag',
      [
        { image: a, annotations: { [CONTAINERD]: 'docker.io/library/x:1.0' } },
        { image: b, tag: 'x' },
      ],
      ':1.0',
      a.digest,
    ],
    [
      'a ref.name that is a full name',
      [
        { image: a, tag: 'localhost:5000/x:1.0' },
        { image: b, tag: 'x' },
      ],
      ':1.0',
      a.digest,
    ],
    [
      'a full name that was asked for',
      [
        { image: a, tag: 'docker.io/library/x:1.0' },
        { image: b, tag: '1.0' },
      ],
      ':docker.io/library/x:1.0',
      a.digest,
    ],
    ['a digest of an entry', [tagged, { image: b, tag: '2' }], `@${b.digest}`, b.digest],
    ['the digest before the tag', [tagged, { image: b, tag: '2' }], `:1.0@${b.digest}`, b.digest],
    ['a platform inside an index by its digest', [{ index: multi, tag: 'm' }], `@${a.digest}`, a.digest],
    ['an index', [{ index: multi, tag: 'm' }, tagged], ':m', multi.digest],
    ['a Docker manifest', [{ image: docker }], '', docker.digest],
  ])('finds %s', async (_name, items, suffix, digest) => {
    await writeLayout(folder, items)
    const image = await resolve(`oci:${folder}${suffix}`)
    expect(image.digest).toBe(digest)
    expect(
      (
        await open(`oci:${folder}${suffix.replace(/@.*/, '')}`)
          .head(signal)
          .catch(() => undefined)
      )?.origin,
    ).not.toBeNull()
  })

  test.each<[string, readonly LayoutItem[], string, string]>([
    [
      'an unknown tag, though there is only one image',
      [tagged],
      ':2.0',
      'ImageNotFound: LAYOUT has no image named 2.0; it has 1.0',
    ],
    [
      'a tag where nothing has a name',
      [{ image: a }],
      ':latest',
      'ImageNotFound: LAYOUT has no image named latest; its images have no names',
    ],
    [
      'no name with several images',
      [tagged, { image: b, tag: '2' }],
      '',
      'InvalidReference: LAYOUT has 2 images; add a tag or a digest to choose one of 1.0, 2',
    ],
    [
      'one name on two images',
      [tagged, { image: b, tag: '1.0' }],
      ':1.0',
      `LayoutInvalid: LAYOUT has 2 images named 1.0: ${a.digest}, ${b.digest}; add @DIGEST to choose one`,
    ],
    [
      'one tag of two full names',
      [
        { image: a, tag: 'x/y:1' },
        { image: b, tag: 'x/z:1' },
      ],
      ':1',
      'LayoutInvalid: LAYOUT has 2 images named 1',
    ],
    [
      'a digest that is nowhere',
      [tagged],
      `@${arm.digest}`,
      `ImageNotFound: LAYOUT has no image with digest ${arm.digest}`,
    ],
    [
      'another platform than there is',
      [{ image: arm }],
      '',
      'PlatformNotFound: the image has nothing for linux/amd64; it has linux/arm64',
    ],
    ['an empty index', [], '', 'ImageNotFound: LAYOUT has no image in its index.json'],
  ])('refuses %s', async (_name, items, suffix, failure) => {
    await writeLayout(folder, items)
    expect((await failureOf(() => resolve(`oci:${folder}${suffix}`))).replaceAll(folder, 'LAYOUT')).toContain(
      failure,
    )
  })

  test('tells everything that status needs', async () => {
    await writeLayout(folder, [{ index: multi, tag: 'm' }])
    const image = await resolve('oci:.:m')
    const indexDigest = `sha256:${createHash('sha256')
      .update(await readFile(join(folder, 'index.json')))
      .digest('hex')}`
    expect(image).toMatchObject({
      canonical: `oci:${folder}:m`,
      digest: multi.digest,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifestDigest: a.digest,
      configDigest: a.configDigest,
      platforms: [
        { platform: AMD64, digest: a.digest },
        { platform: ARM64, digest: arm.digest },
      ],
      source: { kind: 'oci', path: folder, realPath: folder, indexDigest },
    })
    expect(image.config.env).toEqual(['WHICH=a'])
    expect((await resolve('oci:.:m', ARM64)).manifestDigest).toBe(arm.digest)
  })

  test('keeps a pinned digest that the index no longer names', async () => {
    await writeLayout(folder, [{ image: a, tag: '1' }])
    await writeLayout(folder, [{ image: b, tag: '1' }])
    expect((await resolve(`oci:${folder}:1`, AMD64, a.digest)).digest).toBe(a.digest)
    expect((await open(`oci:${folder}:1`).head(signal)).digest).toBe(b.digest)
  })

  test('reads a path with a colon, and a full name, by what exists', async () => {
    const odd = join(folder, 'a:b')
    await writeLayout(odd, [{ image: a, tag: '1.0' }])
    expect((await resolve(`oci:${odd}:1.0`)).digest).toBe(a.digest)
    expect((await resolve(`oci:${odd}:`)).canonical).toBe(`oci:${odd}:`)
    expect(await failureOf(() => resolve(`oci:${folder}/none:1`))).toBe(
      `ImageNotFound: there is no image layout at ${folder}/none`,
    )
  })

  test('passes over attestations, artifacts and unknown media types', async () => {
    const attestation = { ...b.descriptor, platform: { os: 'unknown', architecture: 'unknown' } }
    await writeLayout(folder, [{ image: a }])
    await editIndex((index) => {
      index.manifests.unshift(
        { ...attestation },
        { ...b.descriptor, mediaType: 'application/vnd.example+json' },
      )
      index.manifests.push({
        ...b.descriptor,
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      })
    })
    expect((await resolve(`oci:${folder}`)).digest).toBe(a.digest)
  })

  test('follows indexes inside an index, and finds platforms that only a config names', async () => {
    const { platform: _platform, ...bare } = a.descriptor
    const inner = { schemaVersion: 2, mediaType: multi.index.mediaType, manifests: [arm.descriptor, bare] }
    const bytes = jsonBytes(inner)
    const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const nested = { mediaType: multi.index.mediaType, digest, size: bytes.length }
    const outer = buildIndex([], { extra: [nested, nested] })
    await writeLayout(folder, [{ image: a }, { image: arm }, { index: outer, tag: 'o' }])
    await writeFile(path(digest), bytes)
    const image = await resolve(`oci:${folder}:o`)
    expect(image).toMatchObject({ digest: outer.digest, manifestDigest: a.digest })
    expect(image.platforms).toHaveLength(2)
  })

  test('refuses indexes that are nested too deep', async () => {
    let current = buildIndex([a])
    const all = [current]
    for (let depth = 0; depth < 9; depth++) {
      current = buildIndex([], { extra: [current.descriptor] })
      all.push(current)
    }
    await writeLayout(
      folder,
      all.map((index, depth) => ({ index, tag: `d${depth}` })),
    )
    expect((await resolve(`oci:${folder}:d7`)).manifestDigest).toBe(a.digest)
    expect(await failureOf(() => resolve(`oci:${folder}:d9`))).toContain('InvalidManifest: manifests[0]')
  })
})

describe('what is larger than a chunk of 1 MiB', () => {
  test('hands out a layer of many chunks, each until the next is asked for', async () => {
    const bytes = Buffer.alloc(9.5 * MIB)
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at)
    const image = buildImage({ layers: [bytes] })
    await writeLayout(folder, [{ image, tag: '1' }])
    const source = open(`oci:${folder}:1`)
    expect((await bytesOf(source, image.manifest.layers[0] ?? image.manifest.config)).equals(bytes)).toBe(
      true,
    )
    await source.close()
  })

  test('reads a config of several chunks whole', async () => {
    const Labels = Object.fromEntries(
      Array.from({ length: 3600 }, (_, n) => [`label-${n}`, `${n}`.repeat(250)]),
    )
    const image = buildImage({ layers: [layer([file('a', 'a')])], config: { Labels } })
    expect(image.manifest.config.size).toBeGreaterThan(3 * MIB)
    await writeLayout(folder, [{ image, tag: 'labels' }])
    expect((await resolve(`oci:${folder}:labels`)).config.labels).toEqual(Labels)
  })

  test('reads an index.json of several chunks whole', async () => {
    const digits = '0123456789'.repeat(400)
    await writeLayout(folder, [{ image: a, tag: '1' }])
    await editIndex(({ manifests }) => ({
      schemaVersion: 2,
      manifests: Array.from({ length: 900 }, (_, n) => ({
        ...manifests[0],
        annotations: { [REF_NAME]: `${n}`, digits },
      })),
    }))
    expect((await readFile(join(folder, 'index.json'))).length).toBeGreaterThan(3 * MIB)
    expect((await resolve(`oci:${folder}:899`)).digest).toBe(a.digest)
  })
})

describe('a broken layout', () => {
  const layerDigest = a.manifest.layers[0]?.digest ?? a.digest
  beforeEach(() => writeLayout(folder, [{ image: a, tag: '1' }]))

  test.each<[string, () => Promise<unknown>, string]>([
    [
      'without oci-layout',
      () => rm(join(folder, 'oci-layout')),
      'LayoutInvalid: LAYOUT is not an OCI image layout: it has no oci-layout file',
    ],
    [
      'of another version',
      () => writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}'),
      'has imageLayoutVersion "2.0.0"; must be "1.0.0"',
    ],
    [
      'with an empty oci-layout',
      () => writeFile(join(folder, 'oci-layout'), ''),
      'LayoutInvalid: oci-layout of LAYOUT is not valid JSON',
    ],
    [
      'without index.json',
      () => rm(join(folder, 'index.json')),
      'LayoutInvalid: LAYOUT is not an OCI image layout: it has no index.json',
    ],
    [
      'with a cut index.json',
      () => truncate(join(folder, 'index.json'), 20),
      'LayoutInvalid: index.json of LAYOUT is not valid JSON',
    ],
    [
      'with a manifest as index.json',
      () => copyFile(path(a.digest), join(folder, 'index.json')),
      'LayoutInvalid: index.json of LAYOUT is a manifest',
    ],
    [
      'without the manifest',
      () => rm(path(a.digest)),
      `ImageNotFound: LAYOUT has no blob for ${a.digest} named in index.json`,
    ],
    [
      'without the config',
      () => rm(path(a.configDigest)),
      'ImageNotFound: LAYOUT has no blob for config of manifest',
    ],
    [
      'without a layer',
      () => rm(path(layerDigest)),
      `ImageNotFound: LAYOUT has no blob for layers[0] ${layerDigest}`,
    ],
    ['with a cut layer', () => truncate(path(layerDigest), 100), 'DigestMismatch: layers[0]'],
    [
      'with a wrong byte in the manifest',
      () => flip(path(a.digest)),
      `DigestMismatch: ${a.digest} named in index.json has digest`,
    ],
    [
      'with a wrong byte in the config',
      () => flip(path(a.configDigest)),
      'DigestMismatch: config of manifest',
    ],
    ['with a FIFO as a layer', () => replaceByFifo(path(layerDigest)), 'is not a regular file'],
    ['with a FIFO as index.json', () => replaceByFifo(join(folder, 'index.json')), 'is not a regular file'],
    [
      'with a folder as a blob',
      async () => {
        await rm(path(a.digest))
        await mkdir(path(a.digest))
      },
      'is not a regular file',
    ],
    [
      'with a symlink loop as a blob',
      async () => {
        await rm(path(a.digest))
        await symlink(path(a.digest), path(a.digest))
      },
      'LayoutInvalid: ',
    ],
    [
      'with a symlink to a device as a blob',
      async () => {
        await rm(path(a.digest))
        await symlink('/dev/zero', path(a.digest))
      },
      'is not a regular file',
    ],
    [
      'whose entry has the wrong size',
      () =>
        editIndex((index) => {
          index.manifests[0] = { ...index.manifests[0], size: 7 }
        }),
      'its descriptor says 7',
    ],
    [
      'whose entry has a path for a digest',
      () =>
        editIndex((index) => {
          index.manifests[0] = { ...index.manifests[0], digest: 'sha256:../../etc/passwd' }
        }),
      'LayoutInvalid: index.json of LAYOUT: manifests[0].digest is not a digest',
    ],
    [
      'whose entry calls the manifest an index',
      () =>
        editIndex((index) => {
          index.manifests[0] = { ...index.manifests[0], mediaType: multi.index.mediaType }
        }),
      'InvalidManifest: ',
    ],
    [
      'with equal keys',
      () => writeFile(join(folder, 'index.json'), '{"schemaVersion":2,"manifests":[],"manifests":[]}'),
      'has the key "manifests" twice',
    ],
    [
      'that is a file',
      async () => {
        await rm(folder, { recursive: true })
        await writeFile(folder, '')
      },
      'LayoutInvalid: LAYOUT is not an OCI image layout',
    ],
  ])('%s is refused', async (_name, breakIt, failure) => {
    await breakIt()
    expect((await failureOf(() => resolve(`oci:${folder}:1`))).replaceAll(folder, 'LAYOUT')).toContain(
      failure,
    )
  })

  test.each([
    ['without oci-layout', () => rm(join(folder, 'oci-layout'))],
    ['of another version', () => writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')],
    ['of no version', () => writeFile(join(folder, 'oci-layout'), '')],
  ])('%s is read where the operator wants it', async (_name, breakIt) => {
    await breakIt()
    const options = { baseDir: '/', registries: {}, keychain: ANONYMOUS }
    const source = openSource(parseReference(`oci:${folder}:1`), { ...options, lenientLayouts: true })
    expect((await source.resolve(AMD64, signal)).digest).toBe(a.digest)
    await source.close()
  })

  test('hands out no last chunk of a layer whose bytes are wrong', async () => {
    const image = await resolve(`oci:${folder}:1`)
    await flip(path(layerDigest))
    const [descriptor] = image.manifest.layers
    const seen: Uint8Array[] = []
    const read = async () => {
      for await (const chunk of open(`oci:${folder}:1`).blob(descriptor ?? image.manifest.config, signal))
        seen.push(chunk)
    }
    expect(await failureOf(read)).toContain(`DigestMismatch: blob ${layerDigest}`)
    expect(Buffer.concat(seen).length).toBeLessThan(descriptor?.size ?? 0)
  })

  test('refuses a config that lists other layers than the manifest', async () => {
    const lying = jsonBytes({ ...a.config, rootfs: { type: 'layers', diff_ids: [] } })
    const digest: Digest = `sha256:${createHash('sha256').update(lying).digest('hex')}`
    const manifest = jsonBytes({
      ...a.manifest,
      config: { ...a.manifest.config, digest, size: lying.length },
    })
    const manifestDigest: Digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`
    await writeFile(path(digest), lying)
    await writeFile(path(manifestDigest), manifest)
    expect(await failureOf(() => resolve(`oci:${folder}@${manifestDigest}`))).toContain(
      'has 1 layers, but its config lists 0 diff IDs',
    )
  })

  test('refuses an artifact, which is no image', async () => {
    const bytes = jsonBytes({
      ...a.manifest,
      config: { ...a.manifest.config, mediaType: 'application/vnd.oci.empty.v1+json' },
    })
    const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    await writeFile(path(digest), bytes)
    expect(await failureOf(() => resolve(`oci:${folder}@${digest}`))).toContain('UnsupportedMediaType: ')
  })

  async function flip(name: string): Promise<void> {
    const bytes = await readFile(name)
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    await writeFile(name, bytes)
  }

  async function replaceByFifo(name: string): Promise<void> {
    await rm(name)
    execFileSync('mkfifo', [name])
  }
})

describe('a layout that nobody may write', () => {
  test('is read through symlinks that leave it, and the real place is told', async () => {
    const farm = join(folder, 'farm')
    const store = join(folder, 'store')
    await writeLayout(store, [{ image: a }])
    await mkdir(join(farm, 'blobs', 'sha256'), { recursive: true })
    await symlink('../store/index.json', join(farm, 'index.json'))
    await symlink(join(store, 'oci-layout'), join(farm, 'oci-layout'))
    for (const digest of a.blobs.keys())
      await symlink(`../../../store/${blobPath(digest)}`, join(farm, blobPath(digest)))
    const source = open(`oci:${farm}`)
    const image = await source.resolve(AMD64, signal)
    expect(image.source).toMatchObject({ path: farm, realPath: store })
    const [descriptor] = image.manifest.layers
    expect(await bytesOf(source, descriptor ?? image.manifest.config)).toEqual(tar)
  })

  test('is not touched: no name, size, mode, time or access time changes', async () => {
    await writeLayout(folder, [{ index: multi, tag: 'm' }])
    execFileSync('chmod', ['-R', 'a-w', folder])
    const before = await snapshot(folder)
    const source = open(`oci:${folder}:m`)
    const image = await source.resolve(AMD64, signal)
    for (const descriptor of image.manifest.layers) await bytesOf(source, descriptor)
    await source.head(signal)
    await source.close()
    expect(await snapshot(folder)).toBe(before)
    await chmod(folder, 0o755)
    execFileSync('chmod', ['-R', 'u+w', folder])
  })

  test.skipIf(isMissing('strace'))(
    'opens every file for reading only, without creating or locking any',
    async () => {
      await writeLayout(folder, [{ image: a, tag: '1' }])
      const trace = join(root, 'trace')
      const script = `
      const { openSource } = await import('${join(import.meta.dirname, '../../src/registry/open.ts')}')
      const { parseReference } = await import('${join(import.meta.dirname, '../../src/image/reference.ts')}')
      const source = openSource(parseReference('oci:${folder}:1'), { baseDir: '/', registries: {}, keychain: undefined })
      const image = await source.resolve({ os: 'linux', architecture: 'amd64' }, new AbortController().signal)
      for await (const _ of source.blob(image.manifest.layers[0], new AbortController().signal)) ;`
      execFileSync('strace', [
        '-f',
        '-o',
        trace,
        '-e',
        'trace=%file,flock,fcntl,fsync,ftruncate',
        process.execPath,
        '--input-type=module',
        '-e',
        script,
      ])
      const calls = (await readFile(trace, 'utf8')).split('\n').filter((line) => line.includes(folder))
      expect(calls.some((line) => line.includes('index.json'))).toBe(true)
      const writes = calls.filter((line) =>
        /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|mkdir|rename|\b(?:sym|un)?link(?:at)?\(|utime|chmod|chown|setxattr/.test(
          line,
        ),
      )
      expect(writes).toEqual([])
    },
  )

  async function snapshot(folder: string): Promise<string> {
    await stat(folder)
    return execFileSync('find', [folder, '-printf', '%P %y %s %m %T@ %A@ %C@\n'])
      .toString('utf8')
      .split('\n')
      .sort()
      .join('\n')
  }
})

describe('an index.json that changes while it is read', () => {
  const fullIndex = jsonBytes(layoutIndex([{ image: a, tag: '1' }]))
  const otherIndex = jsonBytes(layoutIndex([{ image: b, tag: '1' }]))
  const torn = fullIndex.subarray(0, 40)

  /** A layout whose index.json reads as scripted, one answer for each read, the last for ever. */
  function scripted(reads: readonly Buffer[]): LayoutSource {
    let read = 0
    const files: LayoutFiles = {
      kind: 'oci',
      path: '/layout',
      tag: '1',
      realPath: () => Promise.resolve('/layout'),
      readMarker: () => Promise.resolve(Buffer.from('{"imageLayoutVersion":"1.0.0"}')),
      readIndex: () => Promise.resolve(reads[Math.min(read++, reads.length - 1)]),
      openBlob: (digest) => {
        const bytes = a.blobs.get(digest) ?? b.blobs.get(digest)
        if (bytes === undefined) return Promise.resolve(undefined)
        const content = async function* () {
          yield bytes
        }
        return Promise.resolve({ size: bytes.length, read: content, close: () => Promise.resolve() })
      },
      close: () => Promise.resolve(),
    }
    const reference = parseReference('oci:/layout:1')
    if (reference.kind === 'registry') throw new Error('expected a layout')
    return new LayoutSource(reference, files)
  }

  test.each([
    ['torn at first', [torn, fullIndex], a.digest],
    ['torn at the second read', [fullIndex, torn, fullIndex], a.digest],
    ['empty at first', [Buffer.alloc(0), fullIndex], a.digest],
    ['another at the second read', [fullIndex, otherIndex], b.digest],
    ['another at each of three reads', [fullIndex, otherIndex, fullIndex, otherIndex], b.digest],
  ])('counts only when two reads are equal: %s', async (_name, reads, digest) => {
    expect((await scripted(reads).resolve(AMD64, signal)).digest).toBe(digest)
    expect((await scripted(reads).head(signal)).digest).toBe(digest)
  })

  test('for ever is told, and may be tried again later', async () => {
    const endless = Array.from({ length: 100 }, (_unused, read) => (read % 2 === 0 ? fullIndex : otherIndex))
    expect(await failureOf(() => scripted(endless).resolve(AMD64, signal))).toBe(
      'LayoutInvalid: index.json of /layout changes while it is read',
    )
  })

  test('and stays broken is told as broken', async () => {
    expect(await failureOf(() => scripted([torn]).resolve(AMD64, signal))).toContain('is not valid JSON')
  })
})

describe('an archive', () => {
  let archive: string
  beforeEach(async () => {
    archive = join(folder, 'image.tar')
    await writeArchive(archive, [
      { index: multi, tag: 'm' },
      { image: b, tag: 'b' },
    ])
  })

  test('is read in place, with everything that a folder has', async () => {
    const source = open(`oci-archive:${archive}:m`)
    const image = await source.resolve(ARM64, signal)
    expect(image).toMatchObject({
      canonical: `oci-archive:${archive}:m`,
      digest: multi.digest,
      manifestDigest: arm.digest,
      source: { kind: 'oci-archive', path: archive, realPath: archive },
    })
    const [descriptor] = image.manifest.layers
    expect(await bytesOf(source, descriptor ?? image.manifest.config)).toEqual(tar)
    expect((await source.head(signal)).digest).toBe(multi.digest)
    await source.close()
  })

  test('is read as GNU tar writes it, with names of any form', async () => {
    const layout = join(folder, 'layout')
    await writeLayout(layout, [{ image: a, tag: '1' }])
    for (const format of ['gnu', 'pax', 'ustar', 'v7']) {
      execFileSync('tar', ['--format', format, '-C', layout, '-cf', join(folder, `${format}.tar`), '.'])
      expect((await resolve(`oci-archive:${folder}/${format}.tar:1`)).digest).toBe(a.digest)
    }
  })

  test('with sha512 blobs is read by GNU and pax long names', async () => {
    const layout = join(folder, 'layout')
    await writeLayout(layout, [{ image: a, tag: '1' }])
    const bytes = a.blobs.get(a.digest) ?? Buffer.alloc(0)
    const digest: Digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`
    await mkdir(join(layout, 'blobs', 'sha512'))
    await writeFile(join(layout, blobPath(digest)), bytes)
    for (const format of ['gnu', 'pax']) {
      execFileSync('tar', ['--format', format, '-C', layout, '-cf', join(folder, `${format}.tar`), '.'])
      expect((await resolve(`oci-archive:${folder}/${format}.tar@${digest}`)).digest).toBe(digest)
    }
  })

  test.each<[string, (layout: string, target: string) => unknown, string]>([
    [
      'compressed',
      (layout, target) => execFileSync('tar', ['-C', layout, '-czf', target, '.']),
      'is not a tar file; it is compressed with gzip',
    ],
    ['that is no tar', (_layout, target) => writeFile(target, 'x'.repeat(2000)), 'is not a tar file'],
    [
      'that is empty',
      (_layout, target) => writeFile(target, ''),
      'is not an OCI image layout: it has no oci-layout file',
    ],
    [
      'that is cut',
      async (layout, target) => {
        execFileSync('tar', ['-C', layout, '-cf', target, '.'])
        await truncate(target, 5000)
      },
      'is cut',
    ],
    [
      'with index.json twice',
      (layout, target) => {
        execFileSync('tar', ['-C', layout, '-cf', target, '.'])
        execFileSync('tar', ['-C', layout, '-rf', target, './index.json'])
      },
      'has index.json twice',
    ],
    [
      'with index.json twice under two spellings',
      (layout, target) => {
        execFileSync('tar', ['-C', layout, '-cf', target, '.'])
        execFileSync('tar', ['-C', layout, '-rf', target, 'index.json'])
      },
      'has index.json twice',
    ],
    [
      'of docker save without a layout',
      async (layout, target) => {
        await rename(join(layout, 'index.json'), join(layout, 'manifest.json'))
        execFileSync('tar', ['-C', layout, '-cf', target, '.'])
      },
      'is an archive of docker save',
    ],
    [
      'with a broken header',
      async (layout, target) => {
        execFileSync('tar', ['-C', layout, '-cf', target, '.'])
        const bytes = await readFile(target)
        bytes[512 + 3] = 0x58
        await writeFile(target, bytes)
      },
      'has a broken tar header at byte 512',
    ],
    ['that is a folder', (_layout, target) => mkdir(target), 'is not a regular file'],
  ])('%s is refused', async (_name, write, failure) => {
    const layout = join(folder, 'layout')
    await writeLayout(layout, [{ image: a, tag: '1' }])
    await write(layout, join(folder, 'x.tar'))
    const found = await failureOf(() => resolve(`oci-archive:${folder}/x.tar:1`))
    expect(found).toContain('LayoutInvalid: ')
    expect(found).toContain(failure)
  })

  test('that was replaced after it was opened is refused rather than mixed', async () => {
    const source = open(`oci-archive:${archive}:b`)
    await source.head(signal)
    await writeArchive(`${archive}.new`, [{ image: a, tag: 'b' }])
    await rename(`${archive}.new`, archive)
    expect(await failureOf(() => source.resolve(AMD64, signal))).toContain('was replaced while it was read')
    await source.close()
  })
})
