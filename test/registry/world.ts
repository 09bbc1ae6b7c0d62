/**
 * A registry and a mirror on loopback for each test, an image of two platforms to put into them, a clock that only waiting
 * moves, and sources that lead there.
 */
import { afterEach, beforeEach } from 'vitest'
import { parseReference } from '../../src/image/reference.ts'
import type { ImageSource } from '../../src/image/source.ts'
import type { Descriptor } from '../../src/image/types.ts'
import { combineKeychains, entriesKeychain } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import type { OnStep } from '../../src/registry/steps.ts'
import type { Credential, Effects, RegistriesConfig, Timeouts } from '../../src/registry/types.ts'
import { failureOf } from '../support/expected-error.ts'
import { startHostileRegistry } from '../support/hostile-registry.ts'
import type { HostileRegistry } from '../support/hostile-registry.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, buildIndex } from '../support/layout.ts'
import type { Artifact } from '../support/layout.ts'

export const AMD64 = { os: 'linux', architecture: 'amd64' }
export const signal = new AbortController().signal
export const image = buildImage({ layers: [layer([file('a', 'x'.repeat(300_000))])], platform: AMD64 })
export const other = buildImage({ layers: [layer([file('b', 'other')])], platform: AMD64 })
export const arm = buildImage({
  layers: [layer([file('c', 'arm')])],
  platform: { os: 'linux', architecture: 'arm64' },
})
export const multi = buildIndex([image, arm])
export const layerOf = image.manifest.layers[0] ?? image.manifest.config
export const layerBytes = image.blobs.get(layerOf.digest) ?? Buffer.alloc(0)

// New ones for each test.
export let registry: HostileRegistry
export let mirror: HostileRegistry
const open: ImageSource[] = []
export const warnings: string[] = []
export const time = { clock: 0, waits: [] as number[] }

beforeEach(async () => {
  registry = await startHostileRegistry()
  mirror = await startHostileRegistry()
  time.clock = 1_000_000
  time.waits = []
  warnings.length = 0
})
afterEach(async () => {
  for (const source of open.splice(0)) await source.close()
  await Promise.all([registry.stop(), mirror.stop()])
})

/** Puts an image or index and all below it into a registry. */
export function serve(
  host: HostileRegistry,
  artifact: Artifact,
  tag?: string,
  repository = 'team/app',
): void {
  const manifests = new Map(artifact.manifests.map((descriptor) => [descriptor.digest, descriptor]))
  for (const [digest, bytes] of artifact.blobs) {
    const descriptor = manifests.get(digest)
    if (descriptor === undefined) host.blob(repository, bytes)
    else
      host.manifest(
        repository,
        { mediaType: descriptor.mediaType, bytes },
        digest === artifact.digest ? tag : undefined,
      )
  }
}

export interface Setup {
  /** What a source of logins says beside giving none. */
  readonly keychainProblem?: string
  readonly users?: readonly (readonly [key: string, pair: string])[]
  readonly identityToken?: string
  readonly registries?: RegistriesConfig
  readonly timeouts?: Partial<Timeouts>
  readonly effects?: Partial<Effects>
  readonly session?: RegistrySession
  readonly credentials?: readonly Credential[]
  readonly onStep?: OnStep
}

export function newSession(setup: Setup = {}): RegistrySession {
  return new RegistrySession({
    effects: {
      now: () => time.clock,
      random: () => 0.5,
      wait: async (ms) => {
        time.waits.push(ms)
        time.clock += ms
        return Promise.resolve()
      },
      env: {},
      ...setup.effects,
    },
    ...(setup.timeouts === undefined ? {} : { timeouts: setup.timeouts }),
  })
}

export function sourceOf(name: string, setup: Setup = {}): ImageSource {
  const entries = (setup.users ?? []).map(([key, pair]) => {
    const [username = '', password = ''] = pair.split(':')
    return { key, credential: { label: username, username, password } }
  })
  const { identityToken } = setup
  const token =
    identityToken === undefined ? [] : [{ key: registry.host, credential: { label: 'id', identityToken } }]
  const given = (setup.credentials ?? []).map((credential) => ({ key: registry.host, credential }))
  const source = openSource(parseReference(name), {
    baseDir: '/',
    registries: setup.registries ?? {},
    keychain: combineKeychains(entriesKeychain([...entries, ...token, ...given]), {
      find: () =>
        Promise.resolve({
          credentials: [],
          problems: setup.keychainProblem === undefined ? [] : [setup.keychainProblem],
        }),
    }),
    userAgent: 'fairlead/test',
    onWarning: (text) => warnings.push(text),
    session: setup.session ?? newSession(setup),
    ...(setup.onStep === undefined ? {} : { onStep: setup.onStep }),
  })
  open.push(source)
  return source
}

export const app = (suffix = ':1') => `${registry.host}/team/app${suffix}`
export const resolve = (setup: Setup = {}, suffix = ':1') =>
  sourceOf(app(suffix), setup).resolve(AMD64, signal)
export const failure = async (setup: Setup = {}, suffix = ':1') => {
  const text = await failureOf(() => resolve(setup, suffix))
  return text.replaceAll(registry.host, 'REGISTRY').replaceAll(mirror.host, 'MIRROR')
}

export async function read(source: ImageSource, descriptor: Descriptor = layerOf): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source.blob(descriptor, signal)) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}
