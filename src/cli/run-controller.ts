/**
 * Wires and runs the controller of one state folder in this process: the lock, the sweep of what crashes left, the
 * loop, and a graceful end. Containers keep running when it ends.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Controller } from '../controller/controller.ts'
import { GoneWatch } from '../controller/gone-watch.ts'
import { startHealthServer } from '../controller/health-server.ts'
import { ControllerMetrics } from '../controller/metrics.ts'
import { OutdatedTicker, type Watch } from '../controller/outdated-ticker.ts'
import { OutdatedWatch } from '../controller/outdated.ts'
import { READY, type ConditionStatus } from '../crd/conditions.ts'
import { ensureFolder, listFolder, sweepRemoved, sweepTemporary, writeJson } from '../engine/local/disk.ts'
import { Leases } from '../engine/local/gc/leases.ts'
import { takeLock } from '../engine/local/lock.ts'
import type { LocalState } from '../engine/local/open.ts'
import { currentBootId, startTicksOf } from '../engine/local/process-facts.ts'
import { pulseOf } from '../engine/local/pulse.ts'
import { sweepStaging } from '../engine/local/unpack/staging.ts'
import { watchApps } from '../engine/local/watch-apps.ts'
import { ExpectedError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { AppStore } from '../reconcile/ports.ts'
import { listenAt, type Address } from './listen-address.ts'
import { packageVersion } from './package-version.ts'

export interface RunControllerOptions {
  readonly log: Logger
  /** End by itself once no app is left: for a controller that `up` started. */
  readonly exitWhenIdle: boolean
  /** Where /metrics answers; nowhere by default. */
  readonly metrics?: Address | undefined
  readonly signal: AbortSignal
}

/** Who runs the controller; `fairlead status` and `up` show it. */
export interface ControllerInfo {
  readonly pid: number
  readonly startTicks: string
  readonly bootId: string
  readonly startedAt: string
  readonly version: string
  readonly runtime: string
}

type ReadyCounts = Readonly<Record<ConditionStatus, number>>
const NO_APPS: ReadyCounts = { True: 0, False: 0, Unknown: 0 }

const PULSE_INTERVAL_MS = 500
const IDLE_CHECK_MS = 1000
const MAX_TICK_MS = 5_000
/** A pass that waits for a slow registry takes one of them; what is heavy has fewer places of its own. */
const WIDTH = 64

/** Returns when asked to stop, or when idle. Throws ControllerRunning when another one has the lock. */
export async function runController(state: LocalState, options: RunControllerOptions): Promise<void> {
  const { paths } = state
  for (const dir of [paths.root, paths.apps, paths.instances, paths.rootfs, paths.volumes, paths.runtime])
    await ensureFolder(dir)
  const lock = await takeLock(paths.controllerLock, { wait: false })
  if (lock === undefined)
    throw new ExpectedError(
      'ControllerRunning',
      `another controller serves ${paths.root} already; it needs only one`,
    )
  const stopping = AbortSignal.any([options.signal, abortWhen(lock.lost)])
  try {
    await sweep(state, options.log)
    await writeJson(paths.controllerInfo, controllerInfo(state.config.runtime))
    const watches: { gone?: GoneWatch } = {}
    let ready = NO_APPS
    const metrics = new ControllerMetrics({
      controller: 'containerapp',
      apps: () => ready,
      goneImages: () => watches.gone?.count ?? 0,
      registries: state.registryReadings,
    })
    const gone = (watches.gone = goneWatch(state, metrics, options.log))
    const outdated = outdatedWatch(state, options.log)
    const scrape = async () => {
      ready = await countReady(state.apps)
      return metrics.text()
    }
    const server =
      options.metrics === undefined
        ? undefined
        : await startHealthServer({ ...listenAt(options.metrics), metrics: scrape })
    const controller = buildController(state, { gone, outdated, metrics }, options.log)
    const tickers = tickersOf(state, { gone, outdated }, controller, options.log)
    await controller.start()
    for (const ticker of tickers) ticker.start()
    const stop = async () => {
      for (const ticker of tickers) await ticker.stop()
      await controller.stop()
      await server?.close()
    }
    options.log.info(
      { state: paths.root, runtime: state.config.runtime, pid: process.pid },
      'controller started',
    )
    // The record goes before the lock: whoever submits next must not take us for a controller that serves.
    const resign = async () => {
      await rm(paths.controllerInfo, { force: true })
      await lock.release()
    }
    if (await waitForEnd(state, options, stopping, resign)) {
      options.log.info({}, 'no app is left')
      await stop()
      return
    }
    await stop()
    await rm(paths.controllerInfo, { force: true })
    options.log.info({}, 'controller stopped')
  } finally {
    await lock.release()
  }
}

function goneWatch({ images, config }: LocalState, metrics: ControllerMetrics, log: Logger): GoneWatch {
  return new GoneWatch({
    images,
    intervalMs: config.goneCheckMs,
    now: Date.now,
    random: Math.random,
    log,
    asked: metrics.askedForImage,
  })
}

/** One whose state can't be read counts as unknown: it must not keep the scraper from the rest. */
async function countReady(apps: Pick<AppStore, 'list' | 'read'>): Promise<ReadyCounts> {
  const counts = { ...NO_APPS }
  for (const key of await apps.list()) {
    const stored = await apps.read(key).catch(() => undefined)
    const condition = stored?.status?.conditions?.find(({ type }) => type === READY)
    counts[condition?.status ?? 'Unknown'] += 1
  }
  return counts
}

function outdatedWatch({ images, config }: LocalState, log: Logger): OutdatedWatch {
  return new OutdatedWatch({
    images,
    intervalMs: config.outdatedCheckMs,
    now: Date.now,
    random: Math.random,
    log,
  })
}

interface Watches {
  readonly gone: GoneWatch
  readonly outdated: OutdatedWatch
}

/** Apart from the loop that looks after containers: a registry that does not answer must not keep it from that. */
function tickersOf(
  { apps, config }: LocalState,
  { gone, outdated }: Watches,
  controller: Controller,
  log: Logger,
): readonly OutdatedTicker[] {
  const tickerOf = (watch: Watch, intervalMs: number) =>
    new OutdatedTicker({
      outdated: watch,
      apps,
      onMoved: (key) => controller.wake(key),
      now: Date.now,
      log,
      tickMs: Math.min(MAX_TICK_MS, intervalMs),
    })
  return [tickerOf(outdated, config.outdatedCheckMs), tickerOf(gone, config.goneCheckMs)]
}

function buildController(
  state: LocalState,
  { gone, outdated, metrics }: Watches & { readonly metrics: ControllerMetrics },
  log: Logger,
): Controller {
  const { paths, apps, images, engine, config, instances } = state
  const now = Date.now
  return new Controller({
    deps: {
      apps,
      images,
      engine,
      backoff: config.backoff,
      now,
      log,
      movedTo: (stored, reference) => outdated.movedTo(stored, reference),
      gone: (stored) => gone.gone(stored),
    },
    forget: (key) => {
      outdated.forget(key)
      gone.forget(key)
    },
    pulse: (key) => pulseOf(paths, instances, key),
    watch: (onChange) => watchApps(paths, onChange),
    pulseIntervalMs: PULSE_INTERVAL_MS,
    width: WIDTH,
    metrics,
  })
}

/** Removes what a crash cut off, before anything new is begun. */
async function sweep(state: LocalState, log: Logger): Promise<void> {
  const { apps, sources, root } = state.paths
  const folders = [root, apps, sources, ...(await listFolder(apps)).map((name) => join(apps, name))]
  for (const folder of folders) await sweepTemporary(folder, Date.now())
  await sweepRemoved(state.paths.apps)
  await state.instances.sweep()
  await state.volumes.sweep()
  for (const folder of [state.paths.rootfs, state.paths.layers])
    for (const clear of [sweepStaging, sweepRemoved]) await unlessKept(log, () => clear(folder))
  await new Leases(state.paths.leases).sweep()
  await state.blobs.sweep()
}

/** A leftover of one image that can't be removed is in the way of no app. */
async function unlessKept(log: Logger, clear: () => Promise<void>): Promise<void> {
  try {
    await clear()
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    log.warn({ reason: error.reason }, `what was left half done stays: ${error.message}`)
  }
}

/** Resolves true when idle, false when stopped. */
function waitForEnd(
  state: LocalState,
  options: RunControllerOptions,
  stopping: AbortSignal,
  release: () => Promise<void>,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let checking = false
    const timer = setInterval(() => {
      if (!options.exitWhenIdle || checking) return
      checking = true
      // The lock goes while nobody can submit: an app that comes now finds no controller and starts one.
      state.apps
        .ifEmpty(release)
        .then((idle) => idle && done(true), reject)
        .finally(() => {
          checking = false
        })
    }, IDLE_CHECK_MS)
    const done = (idle: boolean) => {
      clearInterval(timer)
      resolve(idle)
    }
    if (stopping.aborted) done(false)
    else stopping.addEventListener('abort', () => done(false), { once: true })
  })
}

function controllerInfo(runtime: string): ControllerInfo {
  return {
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? '',
    bootId: currentBootId(),
    startedAt: new Date().toISOString(),
    version: packageVersion(),
    runtime,
  }
}

function abortWhen(event: Promise<void>): AbortSignal {
  const controller = new AbortController()
  void event.then(() => controller.abort())
  return controller.signal
}
