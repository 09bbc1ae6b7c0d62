/** The local engine: implements the middle's `Engine` port on one host with runc or crun. */
import { existsSync, statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import PQueue from 'p-queue'
import type { HostFacts } from '../../bundle/types.ts'
import { containerView, type ContainerView } from '../../bundle/view.ts'
import { unsafeMountTargets } from '../../rootfs/unsafe-targets.ts'
import type { FileTree } from '../../rootfs/types.ts'
import type { App } from '../../crd/types.ts'
import { localSupportIssues } from '../../reconcile/local-support.ts'
import type { AppKey } from '../../reconcile/names.ts'
import { LOCAL_PLANS } from '../../reconcile/plan.ts'
import type { AppStore, Engine, PreparedImage, Sources } from '../../reconcile/ports.ts'
import { entrypointIssues, hookIssues } from '../../reconcile/process-checks.ts'
import { namedSources } from '../../reconcile/revision.ts'
import { localWarnings, volumeViews } from '../../reconcile/to-local.ts'
import type { Desired, DesiredVolume, Observed, Step } from '../../reconcile/types.ts'
import { ExpectedError, invariant, type Issue } from '../../errors.ts'
import { engineFileContents, updateEngineFiles } from './engine-files.ts'
import { InstanceStore, type InstanceRecord } from './instance-store.ts'
import { observeApp } from './observe.ts'
import { appPaths, instancePaths, type StatePaths } from './paths.ts'
import { BUSYBOX, prepareInstance, sourceData, type PrepareInput } from './prepare.ts'
import { progressFileSink } from './progress.ts'
import { readRun } from './run-state.ts'
import { runtimeFor, type Runtime, type RuntimeName } from './runtime.ts'
import type { SourceStore } from './source-store.ts'
import { launch, reap, stop } from './supervisor.ts'
import { volumeContent } from './volume-sources.ts'
import type { VolumeStore } from './volume-store.ts'

export interface LocalEngineOptions {
  readonly paths: StatePaths
  readonly host: HostFacts
  readonly runtime: RuntimeName
  /** Host programs that hooks of the outer stages may run (rule H3); empty by default. */
  readonly hostHooks: readonly string[]
  readonly apps: AppStore
  readonly sources: SourceStore
  readonly volumes: VolumeStore
}

/** Steps that are done at a time. */
const MAX_STEPS = 4

export class LocalEngine implements Engine {
  readonly support = localSupportIssues
  readonly planTowards = LOCAL_PLANS.planTowards
  readonly planKeepLast = LOCAL_PLANS.planKeepLast
  readonly planRemoval = LOCAL_PLANS.planRemoval
  readonly targetId = LOCAL_PLANS.targetId
  readonly #options: LocalEngineOptions
  readonly #instances: InstanceStore
  /** Of all apps: seeding and starting many at a time would only slow down each. */
  readonly #steps = new PQueue({ concurrency: MAX_STEPS })

  constructor(options: LocalEngineOptions) {
    this.#options = options
    this.#instances = new InstanceStore(options.paths)
  }

  sources(app: App): Promise<Sources> {
    const named = namedSources(app)
    return this.#options.sources.forApp(app.metadata.namespace, {
      secrets: named.filter(({ kind }) => kind === 'Secret').map(({ name }) => name),
      configMaps: named.filter(({ kind }) => kind === 'ConfigMap').map(({ name }) => name),
    })
  }

  observe(key: AppKey): Promise<Observed> {
    return observeApp(this.#options.paths, this.#instances, this.#options.volumes, key)
  }

  async check(desired: Desired, prepared: PreparedImage): Promise<readonly Issue[]> {
    const sources = await this.sources(desired.app)
    const unsafe = unsafeMountTargets(
      prepared.tree,
      desired.volumes.map(({ destination }) => destination),
    )
    if (unsafe.length > 0) return unsafe
    const view = containerView(prepared.tree, await this.#volumeViews(desired, prepared, sources))
    const issues = this.#processIssues(desired, view)
    // A spec that can't be rendered (a working directory below /proc) is among the issues already.
    if (issues.some(({ severity }) => severity === 'error')) return issues
    return [...issues, ...localWarnings(desired, prepared.tree, this.#options.host)]
  }

  execute(
    key: AppKey,
    step: Step,
    desired: Desired | undefined,
    prepared: PreparedImage | undefined,
  ): Promise<void> {
    return this.#steps.add(() => this.#execute(key, step, desired, prepared))
  }

  async #execute(
    key: AppKey,
    step: Step,
    desired: Desired | undefined,
    prepared: PreparedImage | undefined,
  ): Promise<void> {
    switch (step.kind) {
      case 'keep':
        return this.#keep(key, step.id, desired)
      case 'ensure-volume':
        invariant(
          desired !== undefined && prepared !== undefined,
          'volumes are made only for a desired state',
        )
        return this.#options.volumes.ensure(key, step.volume, {
          rootfsDir: prepared.rootfsDir,
          digest: desired.image.digest,
          identity: desired.identity,
        })
      case 'prepare':
        invariant(
          desired !== undefined && prepared !== undefined,
          'an instance is prepared only for a desired state',
        )
        return prepareInstance(
          await this.#prepareInput(await this.sources(desired.app)),
          step.id,
          desired,
          prepared,
        )
      case 'stop':
        return this.#stop(key, step.id)
      case 'record-end':
        return this.#recordEnd(step.id, step.failures, step.restarts)
      case 'start':
        return this.#start(key, step.id, step.run)
      case 'remove-instance':
        return this.#removeInstance(step.id)
      case 'remove-volume':
        return this.#removeVolume(key, step.path)
    }
  }

  /** The host's own addresses, as the app is on the host's network. */
  addresses(app: App): readonly string[] {
    const hosts = ['127.0.0.1', ...externalAddresses()]
    return (app.spec.ports ?? []).flatMap(({ port }) => hosts.map((host) => `${host}:${port}`))
  }

  #processIssues(desired: Desired, view: ContainerView): readonly Issue[] {
    return [
      ...entrypointIssues(desired, view),
      ...hookIssues(desired, view, {
        allowedHostHooks: this.#options.hostHooks,
        hostHookProblem,
        existsOnHost: (path: string) => existsSync(path),
      }),
      ...this.#hookRunnerIssues(desired),
    ]
  }

  #hookRunnerIssues(desired: Desired): Issue[] {
    if (desired.hooks.length === 0 || existsSync(BUSYBOX)) return []
    const message = `hooks need a static busybox at ${BUSYBOX} on this host; on Debian: apt-get install busybox-static`
    return [{ severity: 'error', reason: 'RuntimeMissing', path: 'spec.hooks', message }]
  }

  async #volumeViews(desired: Desired, prepared: PreparedImage, sources: Sources) {
    const files = new Map<string, Readonly<Record<string, Buffer>>>()
    const contents = new Map<string, FileTree>()
    for (const volume of desired.volumes) {
      const data = sourceData(sources, volume)
      if (data !== undefined) files.set(volume.path, data)
      contents.set(
        volume.path,
        await volumeContent(this.#options.volumes, desired.key, volume, prepared.tree, files),
      )
    }
    return volumeViews(
      desired,
      (volume: DesiredVolume) => contents.get(volume.path) ?? { lookup: () => undefined },
    )
  }

  async #prepareInput(sources: Sources): Promise<PrepareInput> {
    const { paths, host, volumes, apps } = this.#options
    return {
      paths,
      host,
      runtime: this.#runtime(this.#options.runtime),
      instances: this.#instances,
      volumes,
      sources,
      apps: await apps.list(),
    }
  }

  async #start(key: AppKey, id: string, run: number): Promise<void> {
    const record = await this.#record(id)
    const before = await readRun(this.#options.paths, id, run - 1, [])
    if (run > 1 && before.kind === 'lost') await reap(this.#runtime(record.runtime), record)
    await this.#refreshFiles(key, id)
    await launch(this.#options.paths, record, run)
  }

  /** Some programs ignore the signal: whoever waits is told for how long at the most. */
  async #stop(key: AppKey, id: string): Promise<void> {
    const { paths } = this.#options
    const record = await this.#record(id)
    const run = (await this.#instances.runs(id)).at(-1) ?? 0
    if (run === 0) return
    const progress = progressFileSink(appPaths(paths, key).progress, () => performance.now())
    progress.report({ phase: 'Stopping', detail: `the container, up to ${record.graceSeconds} s` })
    try {
      await stop(paths, this.#runtime(record.runtime), record, run)
    } finally {
      progress.end()
    }
  }

  async #recordEnd(id: string, failures: number, restarts: number): Promise<void> {
    const countedRun = (await this.#instances.runs(id)).at(-1) ?? 0
    await this.#instances.writeRestarts(id, { failures, restarts, countedRun })
  }

  async #removeInstance(id: string): Promise<void> {
    const record = await this.#instances.read(id)
    if (record !== undefined) await reap(this.#runtime(record.runtime), record)
    await this.#instances.remove(id)
  }

  async #removeVolume(key: AppKey, path: string): Promise<void> {
    const stored = (await this.#options.volumes.list(key)).find(({ record }) => record.path === path)
    if (stored !== undefined) await this.#options.volumes.remove(stored)
  }

  /** What may follow the resource without a new container: names of other apps, the time to stop. */
  async #keep(key: AppKey, id: string, desired: Desired | undefined): Promise<void> {
    await this.#refreshFiles(key, id)
    const record = await this.#instances.read(id)
    if (record === undefined || desired === undefined || record.graceSeconds === desired.graceSeconds) return
    await this.#instances.publish({ ...record, graceSeconds: desired.graceSeconds })
  }

  /** Names of other apps may have come or gone: the container's own /etc/hosts follows. */
  async #refreshFiles(key: AppKey, id: string): Promise<void> {
    if ((await this.#instances.read(id)) === undefined) return
    await updateEngineFiles(
      instancePaths(this.#options.paths, id).files,
      await engineFileContents(key, await this.#options.apps.list()),
    )
  }

  async #record(id: string): Promise<InstanceRecord> {
    const record = await this.#instances.read(id)
    if (record === undefined)
      throw new ExpectedError(
        'StateCorrupt',
        `instance ${id} has no record; it is made anew at the next pass`,
        { retry: 'backoff' },
      )
    return record
  }

  #runtime(name: RuntimeName): Runtime {
    return runtimeFor(name, this.#options.paths.runtime, this.#options.host)
  }
}

/** A host hook runs as root: it must be root's, and nobody else may be able to change it (rule H3). */
function hostHookProblem(path: string): string | undefined {
  try {
    const stats = statSync(path)
    if (!stats.isFile()) return 'is not a regular file on this host'
    if (stats.uid !== 0) return `belongs to uid ${stats.uid} on this host; it must be root's`
    return (stats.mode & 0o022) === 0 ? undefined : 'can be changed by others than root on this host'
  } catch {
    return 'does not exist on this host'
  }
}

/** Addresses of the host's interfaces that others can reach; link-local ones are left out. */
function externalAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((entry) => !entry.internal && entry.family === 'IPv4' && !entry.address.startsWith('169.254.'))
    .map((entry) => entry.address)
    .sort()
}
