/** What watching tags costs a registry, counted there: HEADs at rest, and each new digest's documents once, on both engines. */
import { onTestFinished, describe, expect, test } from 'vitest'
import { OutdatedWatch } from '../../src/controller/outdated.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { ClusterImages } from '../../src/engine/kubernetes/images/cluster-images.ts'
import { NO_IMAGES_CONFIG } from '../../src/engine/kubernetes/images/image-settings.ts'
import { parseConfig } from '../../src/engine/local/config.ts'
import { LocalImages } from '../../src/engine/local/image-store.ts'
import { statePaths } from '../../src/engine/local/paths.ts'
import { parseReference } from '../../src/image/reference.ts'
import { createLogger } from '../../src/log.ts'
import type { Images, StoredApp } from '../../src/reconcile/ports.ts'
import { BlobStore } from '../../src/registry/blob-store.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import { serve } from '../engine/kubernetes/images/images.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'
import { anApp, aResource, NOW_MS } from '../support/builders.ts'
import { respond, startHostileRegistry, type HostileRegistry } from '../support/hostile-registry.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, buildIndex, hostPlatform } from '../support/layout.ts'

const HOUR = 3_600_000
const MINUTE = 60_000
const OWN = hostPlatform()
const OTHER = { os: 'linux', architecture: OWN.architecture === 'arm64' ? 'amd64' : 'arm64' }
const NAMES = ['a', 'b', 'c']

const LAYERS = [layer([file('f', 'x')])]
const OLD = buildIndex([
  buildImage({ layers: LAYERS, config: {} }),
  buildImage({ layers: LAYERS, platform: OTHER }),
])
const NEW = buildIndex([
  buildImage({ layers: LAYERS, config: { User: '2000', Volumes: ['/data'], Env: ['TOKEN=hidden'] } }),
])
const WORDS = `adds VOLUME /data, user root → 2000, drops ${OTHER.architecture}, adds env TOKEN`

const log = createLogger('silent')
const signal = new AbortController().signal

interface Clock {
  nowMs: number
}

type MakeImages = (clock: Clock) => Promise<Images>

const ENGINES: readonly (readonly [string, MakeImages])[] = [
  [
    'local',
    async (clock) => {
      const paths = statePaths(await temporaryFolder())
      const session = new RegistrySession({ effects: { now: () => clock.nowMs } })
      onTestFinished(() => session.close())
      return new LocalImages({
        paths,
        config: parseConfig({}, 'config.yaml'),
        blobs: new BlobStore(paths.blobs),
        now: () => clock.nowMs,
        open: (app, baseDir) =>
          Promise.resolve(
            openSource(parseReference(app.spec.image), {
              baseDir,
              registries: parseConfig({}, 'config.yaml').registries,
              keychain: { find: () => Promise.resolve({ credentials: [], problems: [] }) },
              session,
            }),
          ),
      })
    },
  ],
  [
    'kubernetes',
    async (clock) => {
      const images = new ClusterImages({
        config: NO_IMAGES_CONFIG,
        secrets: {
          readSecret: () => Promise.resolve(undefined),
          readServiceAccount: () => Promise.resolve([]),
        },
        platforms: () => [OWN],
        log,
        now: () => clock.nowMs,
        env: {},
        arch: process.arch,
        patienceMs: Infinity,
      })
      onTestFinished(() => images.close())
      return Promise.resolve(images)
    },
  ],
]

/** Apps that all run the tag `1` as it was, watched by one controller. */
class Watched {
  readonly clock: Clock = { nowMs: NOW_MS }
  readonly registry: HostileRegistry
  readonly watch: OutdatedWatch
  readonly #images: Images
  readonly #image: string

  private constructor(registry: HostileRegistry, images: Images, clock: Clock) {
    this.registry = registry
    this.#images = images
    this.clock = clock
    this.#image = `${registry.host}/team/app:1`
    const random = () => 0.5
    this.watch = new OutdatedWatch({ images, intervalMs: HOUR, now: () => clock.nowMs, random, log })
  }

  static async create(make: MakeImages): Promise<Watched> {
    const registry = await startHostileRegistry()
    onTestFinished(() => registry.stop())
    serve(registry, OLD, '1')
    const clock = { nowMs: NOW_MS }
    const watched = new Watched(registry, await make(clock), clock)
    for (const name of NAMES)
      await watched.#images.resolve(watched.#app(name), watched.#stored(name), undefined, signal)
    registry.requests.length = 0
    return watched
  }

  move(): void {
    serve(this.registry, NEW, '1')
    this.registry.requests.length = 0
  }

  async pass(hours: number): Promise<void> {
    const endMs = this.clock.nowMs + hours * HOUR
    for (; this.clock.nowMs < endMs; this.clock.nowMs += MINUTE) {
      for (const name of NAMES) await this.watch.check(this.#stored(name), signal)
    }
  }

  requests(method: string): readonly string[] {
    return this.registry.log().filter((line) => line.startsWith(method))
  }

  words(): readonly (string | undefined)[] {
    return NAMES.map(
      (name) => this.watch.movedTo({ key: this.#key(name), status: undefined }, this.#image)?.changes?.words,
    )
  }

  #key(name: string) {
    return { namespace: 'chat', name }
  }

  #app(name: string) {
    return anApp({ image: this.#image }, { name })
  }

  #stored(name: string): StoredApp {
    const image = { reference: this.#image, canonical: this.#image, digest: OLD.digest }
    const status: AppStatus = { image: { ...image, resolvedAt: new Date(NOW_MS).toISOString() } }
    const resource = aResource({ image: this.#image }, { name })
    return { key: this.#key(name), baseDir: '/', generation: 1, resource, status, deletion: undefined }
  }
}

describe.each(ENGINES)('engine %s', (_name, make) => {
  test('asks with HEAD only while the tag stays, for a day', async () => {
    const watched = await Watched.create(make)
    await watched.pass(24)
    expect(watched.requests('GET')).toEqual([])
    expect(watched.requests('HEAD').length).toBeGreaterThan(20)
  })

  test("reads a new digest's documents once, by digest, for all of its apps", async () => {
    const watched = await Watched.create(make)
    watched.move()
    await watched.pass(24)
    expect(watched.words()).toEqual([WORDS, WORDS, WORDS])
    const gets = watched.requests('GET')
    expect(gets.filter((line) => !line.includes('sha256:'))).toEqual([])
    // Index, manifest, config: three for three apps.
    expect([gets.length, new Set(gets).size]).toEqual([3, 3])
  })

  test('goes without words while a quota forbids the read, and asks no more often for it', async () => {
    const watched = await Watched.create(make)
    watched.move()
    watched.registry.on(/GET .*manifests/, respond(429, { 'retry-after': '86400' }))
    await watched.pass(4)
    expect(watched.requests('GET').length).toBeLessThanOrEqual(4 * NAMES.length)
    expect(watched.words()).toEqual([undefined, undefined, undefined])
    expect(
      watched.watch.movedTo(
        { key: { namespace: 'chat', name: 'a' }, status: undefined },
        `${watched.registry.host}/team/app:1`,
      )?.digest,
    ).toBe(NEW.digest)
  })
})
