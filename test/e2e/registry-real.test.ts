/** The ordinary lines of the client against real registries: distribution 2.8 and 3, open, with passwords, with tokens. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registryBinaries } from '../../scripts/lib/registry-binaries.ts'
import { parseReference } from '../../src/image/reference.ts'
import type { RegistryReference } from '../../src/image/types.ts'
import { ANONYMOUS, entriesKeychain } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import type { SourceOptions } from '../../src/registry/open.ts'
import { listReferrers } from '../../src/registry/referrers.ts'
import { registryOptions } from '../../src/registry/registry-options.ts'
import { listTags } from '../../src/registry/tags.ts'
import type { RegistriesConfig } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, buildIndex, pushImage } from '../support/layout.ts'
import { READER_HTPASSWD, startRegistry } from '../support/real-registry.ts'
import type { RealRegistry } from '../support/real-registry.ts'
import { digestOf } from '../support/registry/content.ts'
import { startJwtServer } from '../support/registry/token-server.ts'
import type { JwtServer } from '../support/registry/token-server.ts'
import { makeCertificate } from '../support/tls.ts'

const AMD64 = { os: 'linux', architecture: 'amd64' }
const REPOSITORY = 'team/app'
const { signal } = new AbortController()
const tar = layer([file('etc/motd', 'hello')])
const amd = buildImage({ layers: [tar], platform: AMD64, config: { Volumes: ['/data'] } })
const arm = buildImage({ layers: [tar], platform: { os: 'linux', architecture: 'arm64' } })
const docker = buildImage({ layers: [tar], platform: AMD64, mediaTypes: 'docker' })
const dockerList = buildIndex([docker], { mediaTypes: 'docker' })
const index = buildIndex([amd, arm])
const broken = buildImage({ layers: [layer([file('gone', 'soon')])], platform: AMD64 })
/** Under the tag that stands in for the referrers API, which neither version has. */
const referrers = buildIndex([arm])
const TAGGED = { oci: index, single: amd, docker, list: dockerList, broken } as const

type Login = 'open' | 'basic' | 'rs256' | 'es256'

interface Place {
  readonly host: string
  readonly caFile: string
  /** An authority that has nothing to do with it. */
  readonly strangeCaFile: string
  readonly tokens: JwtServer | undefined
}

const cleanups: (() => Promise<unknown>)[] = []
const binaries = await registryBinaries()
const VERSIONS = [
  ['2.8', 'docker-registry'],
  ['3', binaries.registry],
] as const
const WAYS: readonly (readonly [Login, tls: boolean])[] = [
  ['open', false],
  ['open', true],
  ['basic', false],
  ['basic', true],
  ['rs256', true],
  ['es256', true],
  ['es256', false],
]

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

describe.each(VERSIONS)('distribution %s', (_version, program) => {
  let storage = ''
  beforeAll(async () => {
    storage = await mkdtemp(path.join(tmpdir(), 'fairlead-storage-'))
    cleanups.push(() => rm(storage, { recursive: true, force: true }))
    // What is pushed to an open registry is served by those that want a login, from the same folder.
    const open = await startRegistry(storage, { program })
    for (const [tag, image] of Object.entries(TAGGED)) await pushImage(open.host, REPOSITORY, tag, image)
    await pushImage(open.host, REPOSITORY, index.digest.replace(':', '-'), referrers)
    await deleteBlob(open.host, broken.manifest.layers[0]?.digest ?? '')
    await open.stop()
  })

  describe.each(WAYS)('%s, TLS %s', (login, tls) => {
    let place: Place
    beforeAll(async () => {
      place = await startPlace(program, storage, login, tls)
    })

    const options = (password = 'secret'): SourceOptions => ({
      baseDir: '/',
      registries: configOf(place, tls),
      keychain:
        password === ''
          ? ANONYMOUS
          : entriesKeychain([
              { key: place.host, credential: { label: 'reader', username: 'reader', password } },
            ]),
    })
    const reference = (suffix: string) =>
      parseReference(`${place.host}/${REPOSITORY}${suffix}`) as RegistryReference
    const resolve = async (suffix: string, password?: string) => {
      const source = openSource(reference(suffix), options(password))
      try {
        return await source.resolve(AMD64, signal)
      } finally {
        await source.close()
      }
    }

    test.each(['oci', 'single', 'docker', 'list'] as const)(
      'resolves the tag %s and what it names',
      async (tag) => {
        const { digest } = TAGGED[tag]
        expect(await resolve(`:${tag}`)).toMatchObject({ digest })
        expect(await resolve(`@${digest}`)).toMatchObject({ digest })
      },
    )

    test('pulls a layer, byte for byte', async () => {
      const source = openSource(reference(':oci'), options())
      const image = await source.resolve(AMD64, signal)
      const parts: Uint8Array[] = []
      for await (const part of source.blob(image.manifest.layers[0] ?? image.manifest.config, signal))
        parts.push(Buffer.from(part))
      await source.close()
      expect(Buffer.concat(parts)).toEqual(tar)
      expect(image.config.volumes).toEqual(['/data'])
    })

    test('lists the tags', async () => {
      const list = await listTags(reference(':x'), registryOptions(options()), {}, signal)
      expect(list).toMatchObject({ tags: Object.keys(TAGGED).toSorted(), skipped: 1, truncated: false })
    })

    test('lists what refers to an image, by the tag that stands in', async () => {
      const digest = index.digest
      const list = await listReferrers(
        reference(`@${digest}`),
        digest,
        registryOptions(options()),
        {},
        signal,
      )
      expect(list.referrers.map((one) => one.digest)).toEqual([arm.digest])
      expect(list.way).toBe('tag')
    })

    test('says what is not there', async () => {
      expect(await failureOf(() => resolve(':nothing'))).toMatch(/^ImageNotFound: .*MANIFEST_UNKNOWN/)
      expect(await failureOf(() => resolve(`@sha256:${'0'.repeat(64)}`))).toMatch(/^ImageNotFound: /)
    })

    test('says that a layer is gone', async () => {
      const source = openSource(reference(':broken'), options())
      const image = await source.resolve(AMD64, signal)
      const [gone] = image.manifest.layers
      const read = async () => {
        for await (const part of source.blob(gone ?? image.manifest.config, signal)) void part
      }
      expect(await failureOf(read)).toMatch(/^ImageNotFound: .*BLOB_UNKNOWN/)
      await source.close()
    })

    test.runIf(login !== 'open')('lets nobody in without the password, or with a wrong one', async () => {
      expect(await failureOf(() => resolve(':oci', ''))).toMatch(/^RegistryUnauthorized: /)
      expect(await failureOf(() => resolve(':oci', 'wrong'))).toMatch(
        /^RegistryUnauthorized: .*tried with reader: /,
      )
    })

    test.runIf(login === 'rs256' || login === 'es256')('asks for no more than pulling', () => {
      expect(new Set(place.tokens?.scopes)).toEqual(new Set([`repository:${REPOSITORY}:pull`]))
    })

    test.runIf(tls)('is not believed without its authority', async () => {
      const registries = { [place.host]: { caFile: place.strangeCaFile } }
      const source = openSource(reference(':oci'), { ...options(), registries })
      expect(await failureOf(() => source.resolve(AMD64, signal))).toMatch(/certificate .* is not trusted/)
      await source.close()
    })
  })

  test('takes a layer with a sha512 digest, which is found and verified by it', async () => {
    const registry = await started(program, storage)
    const digest = digestOf(tar, 'sha512') as `sha512:${string}`
    const status = await uploadBlob(registry.host, digest, tar)
    expect(status).toBe(201)
    const source = openSource(parseReference(`${registry.host}/${REPOSITORY}:oci`), {
      baseDir: '/',
      registries: {},
      keychain: ANONYMOUS,
    })
    const parts: Uint8Array[] = []
    const descriptor = { mediaType: 'application/octet-stream', digest, size: tar.length }
    for await (const part of source.blob(descriptor, signal)) parts.push(Buffer.from(part))
    expect(Buffer.concat(parts)).toEqual(tar)
    await source.close()
  })
})

async function startPlace(program: string, storage: string, login: Login, tls: boolean): Promise<Place> {
  const certificate = await makeCertificate()
  const signer = await makeCertificate(login === 'rs256' ? 'rsa' : 'ec')
  cleanups.push(
    () => rm(certificate.folder, { recursive: true }),
    () => rm(signer.folder, { recursive: true }),
  )
  const [service, issuer] = ['registry.example', 'token server of the test']
  const isToken = login === 'rs256' || login === 'es256'
  const tokens = isToken
    ? await startJwtServer({
        signer,
        users: { reader: 'secret' },
        service,
        issuer,
        ...(tls ? { tls: certificate } : {}),
      })
    : undefined
  if (tokens !== undefined) cleanups.push(() => tokens.stop())
  const registry = await started(program, storage, {
    ...(tls ? { tls: { certFile: certificate.caFile, keyFile: certificate.keyFile } } : {}),
    ...(login === 'basic' ? { htpasswd: READER_HTPASSWD } : {}),
    ...(tokens === undefined
      ? {}
      : { token: { realm: tokens.realm, service, issuer, rootcertbundle: signer.caFile } }),
  })
  return { host: registry.host, caFile: certificate.caFile, strangeCaFile: signer.caFile, tokens }
}

async function started(
  program: string,
  storage: string,
  options: Parameters<typeof startRegistry>[1] = {},
): Promise<RealRegistry> {
  const registry = await startRegistry(storage, { program, ...options })
  cleanups.push(() => registry.stop())
  return registry
}

/** A token server on another port is another host: it gets the password only by the operator's word. */
function configOf({ host, caFile, tokens }: Place, tls: boolean): RegistriesConfig {
  const realm = tokens === undefined ? {} : { trustedRealms: [new URL(tokens.realm).host] }
  return { [host]: { ...realm, ...(tls ? { caFile } : {}) } }
}

async function deleteBlob(host: string, digest: string): Promise<void> {
  const answer = await fetch(`http://${host}/v2/${REPOSITORY}/blobs/${digest}`, { method: 'DELETE' })
  expect(answer.status).toBe(202)
}

async function uploadBlob(host: string, digest: string, bytes: Buffer): Promise<number> {
  const start = await fetch(`http://${host}/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' })
  const upload = new URL(start.headers.get('location') ?? '', `http://${host}`)
  upload.searchParams.set('digest', digest)
  const headers = { 'content-type': 'application/octet-stream' }
  return (await fetch(upload, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status
}
