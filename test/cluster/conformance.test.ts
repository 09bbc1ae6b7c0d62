/**
 * One table for both engines: the same resource leads to the same desired state (but for the revision), the same
 * conditions with the same reasons, and the same volumes.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseApp } from '../../src/crd/app.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { DEFERRED_SOURCES } from '../../src/engine/kubernetes/deferred-sources.ts'
import { ClusterImages } from '../../src/engine/kubernetes/images/cluster-images.ts'
import { NO_IMAGES_CONFIG } from '../../src/engine/kubernetes/images/image-settings.ts'
import { openLocal } from '../../src/engine/local/open.ts'
import { createLogger } from '../../src/log.ts'
import { desiredState } from '../../src/reconcile/desired.ts'
import type { Images, StoredApp } from '../../src/reconcile/ports.ts'
import { writeLayout } from '../support/layout.ts'
import { isMissing } from '../support/programs.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'
import { bedFromEnvironment, isClusterMissing, type TestCluster } from './bed/test-cluster.ts'
import { IMAGES, ROWS, type Row } from './conformance-rows.ts'
import { preflightImage, startController, type RunningController } from './support/controller.ts'

const NAMESPACE = 'conformance'
const SETTLED_MS = 180_000
const signal = new AbortController().signal

describe.skipIf((await isClusterMissing()) || isMissing('runc'))('both engines', () => {
  let cluster: TestCluster
  let controller: RunningController
  let sandbox: Sandbox
  let folder: string
  /** By tag. */
  const references = new Map<string, string>()
  const statuses = new Map<string, { readonly local: AppStatus; readonly onCluster: AppStatus }>()

  const layoutOf = (tag: string) => path.join(folder, 'mapped', tag)
  const prefix = () => `${(references.get('plain') ?? '').split('/')[0]}/mapped/`

  function resource({ name, image, spec, fromLayout }: Row, engine: 'local' | 'cluster') {
    const reference =
      fromLayout !== true
        ? (references.get(image) ?? '')
        : engine === 'local'
          ? `oci:${layoutOf(image)}:1`
          : `${prefix()}${image}:1`
    return app(name, reference, spec)
  }

  beforeAll(async () => {
    cluster = await bedFromEnvironment()
    folder = await mkdtemp(path.join(tmpdir(), 'fairlead-conformance-'))
    for (const [tag, image] of Object.entries(IMAGES))
      references.set(tag, await cluster.push('conformance/app', tag, image))
    references.set('nobody-pushed-it', (references.get('plain') ?? '').replace(/plain$/, 'nobody-pushed-it'))
    const mapped = ROWS.filter(({ fromLayout }) => fromLayout === true).map(({ image }) => image)
    for (const tag of mapped) {
      const image = IMAGES[tag]
      if (image === undefined) throw new Error(`there is no image ${tag}`)
      await writeLayout(layoutOf(tag), [{ tag: '1', image }])
      await cluster.push(`mapped/${tag}`, '1', image)
    }
    const config = path.join(folder, 'images.json')
    const layouts = [{ prefix: prefix(), path: path.join(folder, 'mapped') }]
    await writeFile(config, JSON.stringify({ layouts }))
    await cluster.kubectl([
      'apply',
      '--server-side',
      '-f',
      path.join(import.meta.dirname, '../../manifests/crd.yaml'),
    ])
    await cluster.kubectl(['create', 'namespace', NAMESPACE])
    sandbox = await Sandbox.create()
    controller = await startController(cluster, {
      namespaces: [NAMESPACE],
      preflightImage: await preflightImage(cluster),
      args: ['--registries-config', config],
    })
    await submitAll()
    // One after the other: each look is a process. Whoever does not settle takes the time of all.
    const deadline = performance.now() + SETTLED_MS
    for (const row of ROWS) {
      const timeoutMs = Math.max(2000, deadline - performance.now())
      statuses.set(row.name, {
        local: await localStatus(row, timeoutMs),
        onCluster: await clusterStatus(row, timeoutMs),
      })
    }
  }, 900_000)

  afterAll(async () => {
    await controller?.stop('SIGKILL')
    await cluster?.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false', '--ignore-not-found'])
    await sandbox?.[Symbol.asyncDispose]()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  async function submitAll(): Promise<void> {
    const items = ROWS.map((row) => resource(row, 'cluster'))
    await cluster.kubectl(['apply', '-n', NAMESPACE, '-f', '-'], {
      input: { apiVersion: 'v1', kind: 'List', items },
    })
    await sandbox.mustUp(
      ROWS.map((row) => resource(row, 'local')),
      ['--no-wait'],
    )
  }

  function localStatus(row: Row, timeoutMs: number): Promise<AppStatus> {
    return settled(row.ready, timeoutMs, () => sandbox.status(row.name))
  }

  function clusterStatus({ name, ready, onCluster = ready }: Row, timeoutMs: number): Promise<AppStatus> {
    const read = async () => {
      const text = await cluster.kubectl(['get', 'capp', name, '-n', NAMESPACE, '-o', 'json'])
      return (JSON.parse(text) as { status?: AppStatus }).status ?? {}
    }
    return settled(onCluster, timeoutMs, read)
  }

  test.each(ROWS)('tell the same about $name', (row) => {
    const { local, onCluster } = statuses.get(row.name) ?? never()
    expect(readyOf(local)).toBe(row.ready)
    expect(readyOf(onCluster)).toBe(row.onCluster ?? row.ready)
    const wanted = row.onCluster === undefined ? words(local, row) : words(onCluster, row)
    expect(words(onCluster, row)).toEqual(wanted)
  })

  test.each(ROWS.filter(({ ready }) => ready.startsWith('True')))('want the same for $name', async (row) => {
    const state = openLocal({ stateDir: sandbox.state })
    const images = new ClusterImages({
      config: NO_IMAGES_CONFIG,
      secrets: {
        readSecret: () => Promise.resolve(undefined),
        readServiceAccount: () => Promise.resolve([]),
      },
      platforms: () => [],
      log: createLogger('silent'),
      now: Date.now,
      env: {},
      arch: process.arch,
    })
    try {
      const plain = { ...row, fromLayout: false }
      const ofLocal = await desired(resource(plain, 'local'), state.images)
      expect(await desired(resource(plain, 'cluster'), images)).toEqual(ofLocal)
    } finally {
      images.close()
    }
  })
})

/** What is wanted, without the revision, which each engine takes from what it renders. */
async function desired(document: Record<string, unknown>, images: Images): Promise<unknown> {
  const key = { namespace: NAMESPACE, name: (document['metadata'] as { name: string }).name }
  const resource = { ...document, metadata: key }
  const parsed = parseApp(resource, '')
  if ('issues' in parsed) throw new Error(JSON.stringify(parsed.issues))
  const stored: StoredApp = {
    key,
    baseDir: '/',
    resource,
    generation: 1,
    status: undefined,
    deletion: undefined,
  }
  const image = await images.resolve(parsed.app, stored, undefined, signal)
  const { tree } = await images.prepare(parsed.app, stored, image, signal)
  const result = desiredState({ key, app: parsed.app, image, tree, sources: DEFERRED_SOURCES })
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  const { revision: _revision, ...rest } = result.desired
  return rest
}

/** The last status that was seen: as expected, or what it came to in time. */
async function settled(ready: string, timeoutMs: number, read: () => Promise<AppStatus>): Promise<AppStatus> {
  let status: AppStatus = {}
  await eventually(
    `Ready is ${ready}`,
    async () => {
      status = await read()
      return readyOf(status) === ready
    },
    timeoutMs,
  ).catch(() => undefined)
  return status
}

function readyOf({ conditions = [] }: AppStatus): string {
  const ready = conditions.find(({ type }) => type === 'Ready')
  return `${ready?.status} ${ready?.reason}`
}

/** What people and tools go by. Sentences, names of claims and sizes are each engine's own. */
function words({ conditions = [], volumes = [], image }: AppStatus, { execUnlike = false }: Row) {
  const told = conditions.filter(({ type }) => !execUnlike || type !== 'VolumesExecutable')
  return {
    conditions: told.map(({ type, status, reason }) => `${type}=${status} ${reason}`),
    volumes: volumes.map(({ path: at, origin, phase, exec, seeded }) => ({
      at,
      origin,
      phase,
      seeded,
      ...(execUnlike ? {} : { exec }),
    })),
    digest: image?.digest,
    shortDigest: image?.shortDigest,
  }
}

function never(): never {
  throw new Error('nothing is known of it')
}
