/** The writers that other tests lean on: what they write is what they say. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { tarEnd, tarEntry } from '../../scripts/lib/tar.ts'
import {
  blobPath,
  buildImage,
  buildIndex,
  digestOf,
  MEDIA_TYPES,
  readLayoutImage,
  writeArchive,
  writeLayout,
} from './layout.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'fairlead-layout-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const tar = (text: string): Buffer =>
  Buffer.concat([tarEntry({ name: 'f', type: 'file', mode: 0o644 }, Buffer.from(text)), tarEnd()])

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

describe('tar entries', () => {
  const long = `${'a'.repeat(90)}/${'b'.repeat(90)}`

  test.each([
    [{ name: 'd/', type: 'directory', mode: 0o1777 }, 'drwxrwxrwt 0/0 0 d/'],
    [{ name: 'f', type: 'file', mode: 0o4755, uid: 2000, gid: 2001 }, '-rwsr-xr-x 2000/2001 0 f'],
    [
      { name: 'f', type: 'file', mode: 0o600, uid: 3_000_000, gid: 4_000_000_000 },
      '-rw------- 3000000/4000000000 0 f',
    ],
    [{ name: 'l', type: 'symlink', mode: 0o777, linkTarget: '../x' }, 'lrwxrwxrwx 0/0 0 l -> ../x'],
    [{ name: long, type: 'file', mode: 0o644 }, `-rw-r--r-- 0/0 0 ${long}`],
  ] as const)('%o is what GNU tar reads', (entry, listed) => {
    const file = path.join(scratch, 'entry.tar')
    writeFileSync(file, Buffer.concat([tarEntry(entry), tarEnd()]))
    const line = execFileSync('tar', ['--numeric-owner', '-tvf', file], {
      encoding: 'utf8',
      env: { TZ: 'UTC' },
    })
    expect(line.trim().replace(' 1970-01-01 00:00', '').replaceAll(/ +/g, ' ')).toBe(listed)
  })

  test('a name that does not fit is refused, not cut', () => {
    expect(() => tarEntry({ name: 'x'.repeat(101), type: 'file', mode: 0 })).toThrow('does not fit')
  })
})

describe('images', () => {
  test.each([
    ['plain', tar('x'), 'none'],
    ['gzip', gzipSync(tar('x')), 'gzip'],
    [
      'gzip of two members',
      Buffer.concat([gzipSync(tar('x').subarray(0, 700)), gzipSync(tar('x').subarray(700))]),
      'gzip',
    ],
    ['zstd', zstdCompressSync(tar('x')), 'zstd'],
    [
      'zstd of two frames',
      Buffer.concat([zstdCompressSync(tar('x').subarray(0, 700)), zstdCompressSync(tar('x').subarray(700))]),
      'zstd',
    ],
  ] as const)(
    'a %s layer has the DiffID of its tar and the right media type',
    (_name, bytes, compression) => {
      const image = buildImage({ layers: [bytes] })
      expect(image.config.rootfs.diff_ids).toEqual([digestOf(tar('x'))])
      expect(image.manifest.layers).toEqual([
        { mediaType: MEDIA_TYPES.oci.layer[compression], digest: sha256(bytes), size: bytes.length },
      ])
    },
  )

  test('a layer may lie when the test says so', () => {
    const diffId = digestOf(Buffer.from('other'))
    const image = buildImage({ layers: [{ bytes: tar('x'), diffId, mediaType: 'text/plain' }] })
    expect(image.config.rootfs.diff_ids).toEqual([diffId])
    expect(image.manifest.layers[0]?.mediaType).toBe('text/plain')
  })

  test('lists become maps, everything else stays as given', () => {
    const config = {
      User: 'app',
      Volumes: ['/data/'],
      ExposedPorts: ['80/tcp'],
      Env: ['A=b'],
      StopSignal: 'SIGINT',
    }
    expect(buildImage({ layers: [], config }).config.config).toEqual({
      User: 'app',
      Volumes: { '/data/': {} },
      ExposedPorts: { '80/tcp': {} },
      Env: ['A=b'],
      StopSignal: 'SIGINT',
    })
  })

  test('the same input gives the same digest, another variable another one', () => {
    const build = (value: string): string =>
      buildImage({ layers: [tar('x')], config: { Env: [`A=${value}`] } }).digest
    expect(build('1')).toBe(build('1'))
    expect(build('1')).not.toBe(build('2'))
  })
})

describe('layouts', () => {
  const small = buildImage({
    layers: [gzipSync(tar('one'))],
    platform: { os: 'linux', architecture: 'amd64' },
  })
  const other = buildImage({
    layers: [tar('two')],
    mediaTypes: 'docker',
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  })
  const both = buildIndex([small, other])

  test('have every blob under its own digest, and name what was tagged', async () => {
    const dir = path.join(scratch, 'layout')
    await writeLayout(dir, [
      { image: small, tag: 'one' },
      { index: both, annotations: { note: 'untagged' } },
    ])
    for (const [digest, bytes] of both.blobs) {
      const stored = readFileSync(path.join(dir, blobPath(digest)))
      expect(sha256(stored)).toBe(digest)
      expect(stored.equals(bytes)).toBe(true)
    }
    const index = JSON.parse(readFileSync(path.join(dir, 'index.json'), 'utf8'))
    expect(index.manifests).toEqual([
      { ...small.descriptor, annotations: { 'org.opencontainers.image.ref.name': 'one' } },
      { ...both.descriptor, annotations: { note: 'untagged' } },
    ])
  })

  test('come back as the image that was written', async () => {
    const dir = path.join(scratch, 'again')
    await writeLayout(dir, [{ image: small, tag: 'one' }])
    const read = await readLayoutImage(dir, 'one')
    expect(read.descriptor).toEqual(small.descriptor)
    expect([...read.files.values()].map(({ digest, diffId, size }) => ({ digest, diffId, size }))).toEqual([
      {
        digest: small.manifest.layers[0]?.digest,
        diffId: digestOf(tar('one')),
        size: gzipSync(tar('one')).length,
      },
    ])
    const copy = path.join(scratch, 'copy')
    await writeLayout(copy, [{ image: read, tag: 'one' }])
    expect(readFileSync(path.join(copy, 'index.json'))).toEqual(readFileSync(path.join(dir, 'index.json')))
    expect(existsSync(path.join(copy, blobPath(digestOf(gzipSync(tar('one'))))))).toBe(true)
    await expect(readLayoutImage(dir, 'two')).rejects.toThrow('no image is tagged two')
  })

  test('as an archive are the same files', async () => {
    const dir = path.join(scratch, 'folder')
    const items = [
      { image: await fileImage(), tag: 'file' },
      { index: both, tag: 'both' },
    ]
    await writeLayout(dir, items)
    await writeArchive(path.join(scratch, 'layout.tar'), items)
    const unpacked = mkdtempSync(path.join(scratch, 'unpacked-'))
    execFileSync('tar', ['-xf', path.join(scratch, 'layout.tar'), '-C', unpacked])
    expect(execFileSync('diff', ['-r', dir, unpacked], { encoding: 'utf8' })).toBe('')
  })

  /** An image whose layer is a file, as the big ones are. */
  async function fileImage(): Promise<ReturnType<typeof buildImage>> {
    const file = path.join(scratch, 'layer.tar')
    writeFileSync(file, tar('big'))
    const digest = digestOf(tar('big'))
    const mediaType = MEDIA_TYPES.oci.layer.none
    return buildImage({ layers: [{ file, diffId: digest, digest, size: tar('big').length, mediaType }] })
  }
})
