import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseReference } from '../../src/image/reference.ts'
import { ANONYMOUS, entriesKeychain } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import type { Keychain } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, buildIndex, pushImage, retag } from '../support/layout.ts'
import { isMissing } from '../support/programs.ts'
import { READER_HTPASSWD, startRegistry } from '../support/real-registry.ts'
import type { RealRegistry } from '../support/real-registry.ts'

const AMD64 = { os: 'linux', architecture: 'amd64' }
const signal = new AbortController().signal
const tar = layer([file('etc/motd', 'hello')])
const amd = buildImage({ layers: [tar], platform: AMD64, config: { Volumes: ['/data'] } })
const arm = buildImage({ layers: [tar], platform: { os: 'linux', architecture: 'arm64' } })
const docker = buildImage({ layers: [tar], platform: AMD64, mediaTypes: 'docker' })
const index = buildIndex([amd, arm])

describe.skipIf(isMissing('docker-registry'))('the distribution registry', () => {
  let registry: RealRegistry
  beforeAll(async () => {
    registry = await startRegistry()
    await pushImage(registry.host, 'team/app', '1', index)
    await pushImage(registry.host, 'team/app', 'docker', docker)
  })
  afterAll(() => registry.stop())

  const open = (suffix: string, keychain: Keychain = ANONYMOUS, host = registry.host) =>
    openSource(parseReference(`${host}/team/app${suffix}`), { baseDir: '/', registries: {}, keychain })

  test('serves an index, whose digest is the pin', async () => {
    const source = open(':1')
    const image = await source.resolve(AMD64, signal)
    expect(image).toMatchObject({
      digest: index.digest,
      manifestDigest: amd.digest,
      configDigest: amd.configDigest,
    })
    expect(image.config.volumes).toEqual(['/data'])
    const [descriptor] = image.manifest.layers
    const parts: Uint8Array[] = []
    for await (const part of source.blob(descriptor ?? image.manifest.config, signal))
      parts.push(Buffer.from(part))
    expect(Buffer.concat(parts)).toEqual(tar)
    await source.close()
  })

  test('serves a Docker manifest', async () => {
    const source = open(':docker')
    expect(await source.resolve(AMD64, signal)).toMatchObject({
      digest: docker.digest,
      mediaType: docker.manifest.mediaType,
    })
    await source.close()
  })

  test('shows a moved tag, and keeps what is pinned', async () => {
    const source = open(':moving')
    await pushImage(registry.host, 'team/app', 'moving', amd)
    expect((await source.head(signal)).digest).toBe(amd.digest)
    await retag(registry.host, 'team/app', '1', 'moving')
    expect((await source.head(signal)).digest).toBe(index.digest)
    expect((await source.resolve(AMD64, signal, amd.digest)).digest).toBe(amd.digest)
    await source.close()
  })

  test('says that a tag is unknown in its own words', async () => {
    const source = open(':nothing')
    expect(await failureOf(() => source.resolve(AMD64, signal))).toMatch(
      /^ImageNotFound: .* answered 404 to GET: MANIFEST_UNKNOWN: manifest unknown/,
    )
    await source.close()
  })

  test('lets in who has the password, and nobody else', async () => {
    const closed = await startRegistry(undefined, { htpasswd: READER_HTPASSWD })
    const login = (password: string) =>
      entriesKeychain([{ key: closed.host, credential: { label: 'reader', username: 'reader', password } }])
    const ask = async (keychain: Keychain) => {
      const source = open(':1', keychain, closed.host)
      try {
        return await failureOf(() => source.head(signal))
      } finally {
        await source.close()
      }
    }
    expect(await ask(ANONYMOUS)).toMatch(/^RegistryUnauthorized: /)
    expect(await ask(login('wrong'))).toMatch(/^RegistryUnauthorized: .*tried with reader: .* answered 401/)
    expect(await ask(login('secret'))).toMatch(/^ImageNotFound: /)
    await closed.stop()
  })
})
