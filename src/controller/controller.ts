/**
 * The loop of the local engine: what wakes an app (a submission, an ended container) is looked for by a ticker. Holds no state that a restart would miss.
 */
import { canonicalJson } from '../reconcile/canonical-json.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { Logger } from '../log.ts'
import type { Observed, Step } from '../reconcile/types.ts'
import { AppWorker, type AppWorkerOptions } from './app-worker.ts'
import type { ControllerMetrics } from './metrics.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

export interface ControllerOptions {
  readonly deps: ReconcileDeps
  /** The app is gone: whatever is remembered of it may go, too. */
  readonly forget?: (key: AppKey) => void
  /** Cheap fingerprint of an app's containers; a change wakes the app. */
  readonly pulse: (key: AppKey) => Promise<string>
  /** Calls back whenever a submission may have changed something; returns how to stop that. */
  readonly watch: (onChange: () => void) => () => void
  readonly pulseIntervalMs: number
  readonly width: number
  readonly metrics?: Pick<ControllerMetrics, 'observer' | 'passed' | 'watchQueue'>
  /** From 0 up to, but without, 1: spreads retries. */
  readonly random?: () => number
}

export class Controller {
  readonly #options: ControllerOptions
  readonly #log: Logger
  readonly #worker: ReturnType<typeof workerOf>
  /**
   * As seen before the last pass, never after it: a container that ends while the pass writes its status would be taken
   * for known, and nobody would look again. So a pass that changes something is followed by one that finds nothing to do.
   */
  readonly #pulses = new Map<string, string>()
  /** What the pass that is under way was begun for. */
  readonly #begun = new Map<string, string>()
  #ticker: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined
  #ticking = false

  constructor(options: ControllerOptions) {
    this.#options = options
    this.#log = options.deps.log
    this.#worker = workerOf(options, {
      begins: async (key) => {
        this.#pulses.set(appId(key), await this.#pulseOf(key))
        this.#begun.set(appId(key), await this.#wordsOf(key))
      },
      forget: (key) => {
        this.#pulses.delete(appId(key))
        this.#begun.delete(appId(key))
        options.forget?.(key)
      },
    })
  }

  async start(): Promise<void> {
    this.#unwatch = this.#options.watch(() => {
      // A look that fails is repeated by the ticker; it must not end the process.
      this.#enqueueAll().catch((error: unknown) =>
        this.#log.error({ err: error }, 'could not look after the apps'),
      )
    })
    await this.#enqueueAll()
    this.#ticker = setInterval(() => void this.#tick(), this.#options.pulseIntervalMs)
  }

  /** There is news about an app that it does not see itself. */
  wake(key: AppKey): void {
    this.#worker.queue.add(appId(key))
  }

  /** Ends gracefully: nothing new is begun, what was begun is finished. Containers keep running. */
  async stop(): Promise<void> {
    this.#unwatch?.()
    clearInterval(this.#ticker)
    await this.#worker.stop()
  }

  async #enqueueAll(): Promise<void> {
    for (const key of await this.#options.deps.apps.list()) {
      const id = appId(key)
      const isUnderWay = this.#worker.isUnderWay(id)
      this.#worker.queue.add(id)
      // What a pass waits for may never come, and its app may be removed, or have been given another image.
      if (isUnderWay && this.#begun.has(id) && (await this.#wordsOf(key)) !== this.#begun.get(id))
        this.#worker.restart(id)
    }
  }

  /** What the user asks for, comparable. */
  async #wordsOf(key: AppKey): Promise<string> {
    try {
      const stored = await this.#options.deps.apps.read(key)
      if (stored === undefined) return 'gone'
      const { baseDir, resource, deletion } = stored
      return canonicalJson({ baseDir, resource, deletion: deletion ?? null })
    } catch (error) {
      return `unreadable: ${String(error)}`
    }
  }

  /** Looks for containers that ended, without touching apps that are being worked on. */
  async #tick(): Promise<void> {
    if (this.#ticking) return
    this.#ticking = true
    try {
      for (const key of await this.#options.deps.apps.list()) {
        if (!this.#worker.queue.isBusy(appId(key))) await this.#lookSafely(key)
      }
    } catch (error) {
      this.#log.error({ err: error }, 'could not look after the apps')
    } finally {
      this.#ticking = false
    }
  }

  /** One app that can't be looked at must not keep the others from being looked after. */
  async #lookSafely(key: AppKey): Promise<void> {
    try {
      await this.#look(key)
    } catch (error) {
      this.#log.error({ app: appId(key), err: error }, 'could not look after the app')
    }
  }

  /** What can't be read is a fingerprint, too: it wakes the app once, and the pass over it says what is wrong. */
  async #pulseOf(key: AppKey): Promise<string> {
    try {
      return await this.#options.pulse(key)
    } catch (error) {
      return `unreadable: ${String(error)}`
    }
  }

  async #look(key: AppKey): Promise<void> {
    const id = appId(key)
    const pulse = await this.#pulseOf(key)
    if (this.#pulses.get(id) !== pulse) this.#worker.queue.add(id)
  }
}

function workerOf(
  { deps, width, random, metrics }: ControllerOptions,
  hooks: Pick<AppWorkerOptions<Observed, Step>, 'begins' | 'forget'>,
) {
  const worker = new AppWorker({
    deps,
    width,
    ...(random === undefined ? {} : { random }),
    ...(metrics === undefined ? {} : { observer: metrics.observer, passed: metrics.passed }),
    ...hooks,
  })
  metrics?.watchQueue(worker.queue)
  return worker
}
