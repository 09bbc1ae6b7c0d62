/**
 * What the controller tells Prometheus, under the names that controller-runtime made usual, so that existing
 * dashboards and alerts fit. Durations come in as milliseconds and go out as seconds.
 */
import type { PassResult } from './app-worker.ts'
import type { PresenceResult } from './gone-watch.ts'
import { PRIORITIES } from './lines.ts'
import { Counter, Gauge, Histogram, type Family, type Labels } from './metric-families.ts'
import { processFamilies } from './process-metrics.ts'
import type { KeyQueue, QueueObserver } from './queue.ts'
import { registryFamilies, type RegistryReading } from './registry-metrics.ts'

export interface MetricsOptions {
  /** Value of the label `controller`. */
  readonly controller: string
  /** Name of the Lease, where there is one. */
  readonly lease?: string
  /** How many apps have which readiness. */
  readonly apps?: () => Readonly<Record<'True' | 'False' | 'Unknown', number>>
  /** How many digests are needed and no longer where they came from. */
  readonly goneImages?: () => number
  /** How registries let themselves be asked. */
  readonly registries?: () => readonly RegistryReading[]
}

type QueueState = Pick<KeyQueue, 'width' | 'working' | 'depth' | 'unfinishedMs' | 'longestRunningMs'>

/** controller-runtime's buckets for reconciliations, fewer of them; seconds. */
const PASS_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const QUEUE_BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 60, 300, 1000]

/** Label `result` of a pass, and the other counters that go with it. */
const RESULTS: Readonly<Record<PassResult, { readonly label: string; readonly also: readonly Also[] }>> = {
  success: { label: 'success', also: [] },
  requeue: { label: 'requeue_after', also: [] },
  error: { label: 'error', also: ['errors'] },
  terminal: { label: 'error', also: ['errors', 'terminal'] },
  bug: { label: 'error', also: ['errors', 'panics'] },
}

const PRESENCE_RESULTS: readonly PresenceResult[] = ['held', 'gone', 'unknown']

type Also = 'errors' | 'terminal' | 'panics'

export class ControllerMetrics {
  readonly #label: Labels
  readonly #queueLabels: Labels
  readonly #passes = new Counter(
    'controller_runtime_reconcile_total',
    'Passes over an app, by how they ended',
  )
  readonly #also: Readonly<Record<Also, Counter>> = {
    errors: new Counter('controller_runtime_reconcile_errors_total', 'Passes that ended with an error'),
    terminal: new Counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Passes that ended with an error that only an edit helps',
    ),
    panics: new Counter('controller_runtime_reconcile_panics_total', 'Passes that ended with a bug'),
  }
  readonly #passTime: Histogram
  readonly #adds = new Counter('workqueue_adds_total', 'Keys that came into line')
  readonly #retries = new Counter('workqueue_retries_total', 'Keys that were put back after a failure')
  readonly #waitTime: Histogram
  readonly #workTime: Histogram
  readonly #requests = new Counter('rest_client_requests_total', 'Requests to the API server')
  readonly #relists = new Counter('fairlead_informer_relists_total', 'Lists after the first one, by kind')
  readonly #reconnects = new Counter('fairlead_informer_reconnects_total', 'Watches begun anew, by kind')
  readonly #presence = new Counter(
    'fairlead_image_presence_checks_total',
    'Questions whether a needed digest is still where it came from, by answer',
  )
  readonly #families: readonly Family[]
  #queue: QueueState | undefined
  #leads = false

  constructor(options: MetricsOptions) {
    const { controller } = options
    this.#label = { controller }
    this.#queueLabels = { name: controller, controller }
    const passTime = 'controller_runtime_reconcile_time_seconds'
    this.#passTime = new Histogram(passTime, 'Length of a pass', this.#label, PASS_BOUNDS)
    this.#waitTime = this.#queueHistogram('workqueue_queue_duration_seconds', 'How long a key was in line')
    this.#workTime = this.#queueHistogram('workqueue_work_duration_seconds', 'How long a key was worked on')
    for (const { label } of Object.values(RESULTS)) this.#passes.add({ ...this.#label, result: label }, 0)
    for (const counter of Object.values(this.#also)) counter.add(this.#label, 0)
    for (const counter of [this.#adds, this.#retries]) counter.add(this.#queueLabels, 0)
    for (const result of PRESENCE_RESULTS) this.#presence.add({ result }, 0)
    this.#families = this.#allFamilies(options)
  }

  /** For the queue's `observer`. */
  readonly observer: QueueObserver = {
    added: () => this.#adds.add(this.#queueLabels),
    retried: () => this.#retries.add(this.#queueLabels),
    began: (waitedMs) => this.#waitTime.observe(waitedMs / 1000),
    ended: (workedMs) => this.#workTime.observe(workedMs / 1000),
  }

  /** The queue whose depth and workers are told. */
  readonly watchQueue = (queue: QueueState): void => {
    this.#queue = queue
  }

  readonly passed = (result: PassResult, durationMs: number): void => {
    const { label, also } = RESULTS[result]
    this.#passes.add({ ...this.#label, result: label })
    for (const one of also) this.#also[one].add(this.#label)
    this.#passTime.observe(durationMs / 1000)
  }

  /** `code` is the HTTP status, or `<error>` when there was no answer. */
  readonly requested = (request: {
    readonly method: string
    readonly host: string
    readonly code: string
  }): void => this.#requests.add({ code: request.code, method: request.method, host: request.host })

  readonly askedForImage = (result: PresenceResult): void => this.#presence.add({ result })

  readonly relisted = (kind: string): void => this.#relists.add({ kind })
  readonly reconnected = (kind: string): void => this.#reconnects.add({ kind })

  readonly setLeads = (leads: boolean): void => {
    this.#leads = leads
  }

  /** Everything, in Prometheus' text format. */
  text(): string {
    return this.#families.map((family) => family.text()).join('')
  }

  #queueHistogram(name: string, help: string): Histogram {
    return new Histogram(name, help, this.#queueLabels, QUEUE_BOUNDS)
  }

  #allFamilies({ lease, apps, goneImages, registries = () => [] }: MetricsOptions): readonly Family[] {
    return [
      this.#passes,
      ...Object.values(this.#also),
      this.#passTime,
      ...this.#queueGauges(),
      this.#adds,
      this.#retries,
      this.#waitTime,
      this.#workTime,
      this.#requests,
      this.#relists,
      this.#reconnects,
      new Gauge('leader_election_master_status', 'Whether this controller leads', () =>
        lease === undefined ? [] : [[{ name: lease }, this.#leads ? 1 : 0]],
      ),
      new Gauge('fairlead_apps', 'Apps by readiness', () =>
        Object.entries(apps?.() ?? {}).map(([ready, count]) => [{ ready }, count]),
      ),
      new Gauge('fairlead_images_gone', 'Needed digests that are no longer where they came from', () => [
        [{}, goneImages?.() ?? 0],
      ]),
      this.#presence,
      ...registryFamilies(registries),
      ...processFamilies(),
    ]
  }

  #queueGauges(): readonly Family[] {
    const gauge = (name: string, help: string, labels: Labels, read: (queue: QueueState) => number) =>
      new Gauge(name, help, () => (this.#queue === undefined ? [] : [[labels, read(this.#queue)]]))
    return [
      gauge('controller_runtime_max_concurrent_reconciles', 'Workers', this.#label, ({ width }) => width),
      gauge('controller_runtime_active_workers', 'Workers that work', this.#label, ({ working }) => working),
      new Gauge('workqueue_depth', 'Keys in line, by priority', () =>
        this.#queue === undefined
          ? []
          : PRIORITIES.map((priority) => [
              { ...this.#queueLabels, priority },
              this.#queue?.depth(priority) ?? 0,
            ]),
      ),
      gauge(
        'workqueue_unfinished_work_seconds',
        'Sum of how long the keys that are worked on have been so',
        this.#queueLabels,
        (queue) => queue.unfinishedMs() / 1000,
      ),
      gauge(
        'workqueue_longest_running_processor_seconds',
        'How long the slowest worker has been at its key',
        this.#queueLabels,
        (queue) => queue.longestRunningMs() / 1000,
      ),
    ]
  }
}
