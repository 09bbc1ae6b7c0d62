/** State folders as a controller would have left them. */
import { mkdir, writeFile } from 'node:fs/promises'
import { LocalAppStore } from '../../src/engine/local/app-store.ts'
import { currentBootId, startTicksOf } from '../../src/engine/local/process-facts.ts'
import { InstanceStore, type InstanceRecord } from '../../src/engine/local/instance-store.ts'
import { instancePaths, runPaths, statePaths, volumePaths } from '../../src/engine/local/paths.ts'
import { claimName, instanceId, parseAppKey, type AppKey } from '../../src/reconcile/names.ts'
import type { AppStatus } from '../../src/crd/status.ts'

export const DIGEST_A = `sha256:${'a'.repeat(64)}` as const
export const DIGEST_B = `sha256:${'b'.repeat(64)}` as const
export const DIGEST_C = `sha256:${'c'.repeat(64)}` as const
/** An ended container that claims to be younger than any other: what runs counts for more. */
const LATER_S = 4_102_444_800
export const NOON = '2026-01-01T12:00:00Z'

export function keyOf(text: string): AppKey {
  const key = parseAppKey(text)
  if (key === undefined) throw new Error(`${text} is no name`)
  return key
}

export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  message = 'as said',
) {
  return { type, status, reason, message, lastTransitionTime: NOON, observedGeneration: 1 }
}

/** The status of an app that runs. */
export function runningStatus(change: Partial<AppStatus> = {}): AppStatus {
  return {
    observedGeneration: 1,
    image: {
      reference: 'example/app:1',
      canonical: 'docker.io/example/app:1',
      digest: DIGEST_A,
      resolvedAt: NOON,
      source: { kind: 'registry', host: 'docker.io', mirror: false },
      history: [],
    },
    volumes: [
      {
        path: '/data',
        claimName: 'app-data-0f0f0f0f',
        origin: 'Image',
        phase: 'Ready',
        exec: 'Allowed',
        seeded: true,
      },
    ],
    workload: { replicas: 1, ready: 1, revision: 'r1', restarts: 2, addresses: ['127.0.0.1:8065'] },
    conditions: [
      condition('Ready', 'True', 'Running', 'the app is running'),
      condition('Rendered', 'True', 'Rendered', 'all fields are honoured'),
    ],
    ...change,
  }
}

/** Stores an app; without a status it is one that no controller has seen. */
export async function storeApp(
  state: string,
  name: string,
  status?: AppStatus,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<AppKey> {
  const key = keyOf(name)
  const store = new LocalAppStore(statePaths(state))
  const resource = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { ...key },
    spec: { image: 'example/app:1', ...spec },
  }
  await store.submit([{ key, resource, baseDir: '/', status: undefined }])
  if (status !== undefined) await store.writeStatus(key, status)
  return key
}

/** A volume with one file `f`. */
export async function storeVolume(
  state: string,
  name: string,
  path: string,
  content = 'data',
): Promise<string> {
  const key = keyOf(name)
  const files = volumePaths(statePaths(state), key, path)
  await mkdir(files.data, { recursive: true })
  await writeFile(`${files.data}/f`, content)
  const record = {
    namespace: key.namespace,
    app: key.name,
    path,
    claimName: claimName(key.name, path),
    retain: 'Retain',
    phase: 'Ready',
    seededFrom: DIGEST_A,
  }
  await writeFile(files.record, JSON.stringify(record))
  return files.data
}

export interface InstanceOptions {
  readonly revision?: string
  /** Host folders in its mounts. */
  readonly mounts?: readonly string[]
  /** Its supervisor is this very process; else it has ended. */
  readonly alive?: boolean
  readonly log?: string
}

/** A container's folder with one run. */
export async function storeInstance(
  state: string,
  name: string,
  options: InstanceOptions = {},
): Promise<string> {
  const key = keyOf(name)
  const revision = options.revision ?? 'r1'
  const id = instanceId(key, revision)
  const paths = statePaths(state)
  const store = new InstanceStore(paths)
  await store.create(id)
  const record: InstanceRecord = {
    id,
    key,
    revision,
    digest: DIGEST_A,
    runtime: 'runc',
    identity: { uid: 0, gid: 0, additionalGids: [] },
    workingDir: '/',
    env: [],
    stopSignal: 'SIGTERM',
    graceSeconds: 1,
    hooks: [],
    volumes: [],
  }
  await store.publish(record)
  const mounts = (options.mounts ?? []).map((source) => ({ destination: '/data', type: 'bind', source }))
  await writeFile(instancePaths(paths, id).config, JSON.stringify({ process: { args: ['/app'] }, mounts }))
  await writeFile(instancePaths(paths, id).log, options.log ?? '')
  const run = runPaths(paths, id, 1)
  await mkdir(run.dir, { recursive: true })
  if (options.alive === true) {
    await writeFile(run.supervisor, `${process.pid} ${startTicksOf(process.pid) ?? ''} ${currentBootId()}\n`)
    await writeFile(run.pid, String(process.pid))
  } else
    await writeFile(
      run.exit,
      JSON.stringify({ exitCode: 0, oomKills: 0, startedAt: LATER_S, finishedAt: LATER_S }),
    )
  return id
}
