/**
 * A small world behind the ports: a registry of tags, a disk of containers and volumes, a store of resources. It keeps
 * the promises of the real engine (steps may be repeated, a store gives back what was written) and it watches: two
 * containers alive at once, or content that is lost, is a `violation`.
 */
import { parseStatus, type AppStatus } from '../../src/crd/status.ts'
import type { ReconcileDeps } from '../../src/controller/reconcile-deps.ts'
import { ExpectedError, type Issue } from '../../src/errors.ts'
import type { Digest, ResolvedImage } from '../../src/image/types.ts'
import type { Logger } from '../../src/log.ts'
import type { TagMove } from '../../src/reconcile/status-move.ts'
import { KUBERNETES_BACKOFF } from '../../src/reconcile/backoff.ts'
import { localSupportIssues } from '../../src/reconcile/local-support.ts'
import { LOCAL_PLANS } from '../../src/reconcile/plan.ts'
import { appFileName, appId, type AppKey } from '../../src/reconcile/names.ts'
import type { AppStore, Engine, Images, PreparedImage, StoredApp } from '../../src/reconcile/ports.ts'
import type { Desired, Observed, ObservedInstance, Step, Termination } from '../../src/reconcile/types.ts'
import { dir, file, tree } from '../bundle/tree.ts'
import { anImage, NOW_MS, sources } from '../support/builders.ts'

/** Ends the controller's process between two effects: no code of ours may see it as an expected failure. */
export class Crash extends Error {}

interface Volume {
  readonly retain: 'Retain' | 'Delete'
  seeds: number
}

type Instance = { -readonly [Member in keyof ObservedInstance]: ObservedInstance[Member] }

const PREPARED = tree({ data: dir(), logs: dir(), app: file('') })

export class World {
  nowMs = NOW_MS
  /** Digest behind every reference. */
  readonly tags = new Map<string, Digest>()
  /** Digests whose bytes are here already. */
  readonly recallable = new Set<Digest>()
  readonly volumes = new Map<string, Volume>()
  readonly instances = new Map<string, Instance>()
  readonly resources = new Map<string, Omit<StoredApp, 'status'>>()
  readonly statuses = new Map<string, string>()
  /** Volumes that the image declares. */
  imageVolumes: readonly string[] = ['/data']
  /** What the checks of the engine find. */
  issues: readonly Issue[] = []
  /** Tag as the outdated watch saw it. */
  moved: TagMove | undefined
  /** Every port call and step, in order: `resolve`, `execute start …`. */
  readonly calls: string[] = []
  readonly violations: string[] = []
  readonly statusWrites: AppStatus[] = []
  readonly logged: string[] = []
  /** An error for a call by its beginning, thrown in place of it: `['resolve', error]`. */
  readonly failures = new Map<string, Error>()
  /** Crash before (`at`) or after (`at + 0.5`) the call with this number, from 1. */
  crashAt: number | undefined

  readonly deps: ReconcileDeps = {
    apps: this.#appStore(),
    images: this.#images(),
    engine: this.#engine(),
    backoff: KUBERNETES_BACKOFF,
    now: () => this.nowMs,
    log: this.#log(),
    movedTo: () => this.moved,
  }

  submit(key: AppKey, resource: Record<string, unknown>, generation = 1): void {
    this.resources.set(appId(key), { key, baseDir: '/', generation, resource, deletion: undefined })
  }

  requestDeletion(key: AppKey, allVolumes: boolean): void {
    const stored = this.resources.get(appId(key))
    if (stored !== undefined) this.resources.set(appId(key), { ...stored, deletion: { allVolumes } })
  }

  status(key: AppKey): AppStatus | undefined {
    const text = this.statuses.get(appId(key))
    return text === undefined ? undefined : parseStatus(JSON.parse(text))
  }

  instancesOf(key: AppKey): readonly Instance[] {
    return [...this.instances.values()].filter(({ id }) => id.startsWith(`${appFileName(key)}_`))
  }

  /** A container ends by itself. */
  end(id: string, changes: Partial<Termination> = {}): void {
    const instance = this.#instance(id)
    instance.state = 'ended'
    instance.recorded = false
    instance.termination = {
      exitCode: 1,
      reason: 'Exited',
      message: 'ended with exit code 1',
      startedAtMs: instance.startedAtMs ?? this.nowMs,
      finishedAtMs: this.nowMs,
      ...changes,
    }
  }

  /** Everything that matters at the end, comparable. */
  picture(): unknown {
    return {
      instances: [...this.instances.values()].map(({ id, state }) => `${id} ${state}`).toSorted(),
      volumes: [...this.volumes].map(([path, { seeds }]) => `${path} seeded ${seeds}x`).toSorted(),
      resources: [...this.resources.keys()],
      pins: [...this.statuses.keys()].map(
        (id) => (JSON.parse(this.statuses.get(id) ?? '{}') as AppStatus).image?.digest,
      ),
      conditions: [...this.statuses.values()].map((text) =>
        (JSON.parse(text) as AppStatus).conditions?.map(
          ({ type, status, reason }) => `${type}=${status}/${reason}`,
        ),
      ),
    }
  }

  /** Steps that were done, without the silent ones. */
  steps(): string[] {
    return this.calls.flatMap((call) => (call.startsWith('execute ') ? [call.slice('execute '.length)] : []))
  }

  async #call<T>(name: string, effect: () => T): Promise<T> {
    this.calls.push(name)
    const number = this.calls.length
    if (this.crashAt === number) throw new Crash(`before ${number}: ${name}`)
    for (const [start, error] of this.failures) if (name.startsWith(start)) throw error
    const result = effect()
    if (this.crashAt === number + 0.5) throw new Crash(`after ${number}: ${name}`)
    return Promise.resolve(result)
  }

  #appStore(): AppStore {
    return {
      list: () => this.#call('list', () => [...this.resources.values()].map(({ key }) => key)),
      read: (key) =>
        this.#call('read', () => {
          const stored = this.resources.get(appId(key))
          return stored === undefined ? undefined : { ...stored, status: this.status(key) }
        }),
      writeStatus: (key, status) =>
        this.#call('writeStatus', () => {
          this.statusWrites.push(status)
          this.statuses.set(appId(key), JSON.stringify(status))
        }),
      remove: (key) =>
        this.#call('remove', () => {
          this.resources.delete(appId(key))
          this.statuses.delete(appId(key))
        }),
    }
  }

  #images(): Images {
    return {
      resolve: (app, _stored, pin) =>
        this.#call(pin === undefined ? 'resolve' : 'resolve pinned', () => {
          const found = pin ?? this.tags.get(app.spec.image)
          if (found === undefined) throw new ExpectedError('ImageNotFound', `no ${app.spec.image}`)
          this.recallable.add(found)
          return this.#image(app.spec.image, found)
        }),
      recall: (app, _stored, digest) =>
        this.#call('recall', () => {
          return this.recallable.has(digest) ? this.#image(app.spec.image, digest) : undefined
        }),
      prepare: (_app, _stored, image) =>
        this.#call('pull', (): PreparedImage => ({
          image,
          tree: PREPARED,
          rootfsDir: '/rootfs',
          warnings: [],
        })),
      head: (app) =>
        this.#call('head', () => {
          const found = this.tags.get(app.spec.image)
          if (found === undefined) throw new ExpectedError('ImageNotFound', `no ${app.spec.image}`)
          return { digest: found, origin: { kind: 'registry', host: 'example.com', mirror: false } }
        }),
    }
  }

  #image(reference: string, pin: Digest): ResolvedImage {
    return anImage({ reference, digest: pin, config: { volumes: this.imageVolumes } })
  }

  #engine(): Engine {
    return {
      ...LOCAL_PLANS,
      support: localSupportIssues,
      sources: () => this.#call('sources', () => sources()),
      observe: (key) => this.#call('observe', () => this.#observed(key)),
      check: () => this.#call('check', () => this.issues),
      execute: (_key, step, desired) =>
        this.#call(`execute ${nameOf(step)}`, () => this.#execute(step, desired)),
      addresses: () => ['127.0.0.1:8065'],
    }
  }

  #observed(key: AppKey): Observed {
    const running = this.instancesOf(key).some(({ state }) => state === 'running')
    return structuredClone({
      instances: this.instancesOf(key),
      volumes: [...this.volumes].map(([path, { retain }]) => ({
        path,
        claimName: `claim${path.replaceAll('/', '-')}`,
        phase: 'Bound' as const,
        seeded: true,
        retain,
      })),
      execByPath: new Map(running ? [...this.volumes.keys()].map((path) => [path, 'exec' as const]) : []),
    })
  }

  #execute(step: Step, desired: Desired | undefined): void {
    switch (step.kind) {
      case 'keep':
        return
      case 'ensure-volume':
        return this.#ensureVolume(step.volume.path, step.volume.retain)
      case 'prepare':
        return this.#prepare(step.id, desired)
      case 'start':
        return this.#start(step.id, step.run)
      case 'stop':
        return this.end(step.id, { reason: 'Stopped', exitCode: 143, message: 'stopped as asked' })
      case 'record-end':
        Object.assign(this.#instance(step.id), {
          failures: step.failures,
          restarts: step.restarts,
          recorded: true,
        })
        return
      case 'remove-instance':
        if (this.instances.get(step.id)?.state === 'running')
          this.violations.push(`removed ${step.id} while it ran`)
        this.instances.delete(step.id)
        return
      case 'remove-volume':
        this.volumes.delete(step.path)
    }
  }

  #ensureVolume(path: string, retain: Volume['retain']): void {
    const volume = this.volumes.get(path)
    this.volumes.set(path, { retain, seeds: volume?.seeds ?? 1 })
  }

  #prepare(id: string, desired: Desired | undefined): void {
    if (desired === undefined) throw new Error('prepare needs a desired state')
    this.instances.set(id, {
      id,
      revision: desired.revision,
      digest: desired.image.digest,
      state: 'prepared',
      run: 0,
      startedAtMs: undefined,
      termination: undefined,
      lastEnd: undefined,
      failures: 0,
      restarts: 0,
      recorded: true,
    })
  }

  #start(id: string, run: number): void {
    const [namespace = '', name = ''] = id.split('_')
    const alive = this.instancesOf({ namespace, name }).filter(({ state }) => state === 'running')
    if (alive.length > 0)
      this.violations.push(`started ${id} while ${alive.map((other) => other.id).join()} ran`)
    const instance = this.#instance(id)
    Object.assign(instance, {
      state: 'running',
      run,
      startedAtMs: this.nowMs,
      termination: undefined,
      recorded: false,
    })
  }

  #instance(id: string): Instance {
    const instance = this.instances.get(id)
    if (instance === undefined) throw new Error(`there is no instance ${id}`)
    return instance
  }

  #log(): Logger {
    const line = (_fields: unknown, message?: string) => {
      this.logged.push(message ?? '')
    }
    return { debug: () => undefined, info: line, warn: line, error: line }
  }
}

function nameOf(step: Step): string {
  if (step.kind === 'ensure-volume') return `ensure-volume ${step.volume.path}`
  if (step.kind === 'remove-volume') return `remove-volume ${step.path}`
  return `${step.kind} ${step.id.split('_')[2] ?? step.id}`
}
