/**
 * Counters, gauges and histograms as Prometheus' text format 0.0.4. Small and own: the usual package takes 20 MB of
 * memory, a third of what the whole controller may have.
 */
export type Labels = Readonly<Record<string, string>>

export interface Family {
  /** Lines with line ends; empty while there is no sample. */
  text(): string
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export class Counter implements Family {
  readonly #name: string
  readonly #help: string
  readonly #values = new Map<string, number>()

  constructor(name: string, help: string) {
    this.#name = name
    this.#help = help
  }

  /** With 0 the series is there from the start, so that its first increase can be seen. */
  add(labels: Labels = {}, by = 1): void {
    const series = labelText(labels)
    this.#values.set(series, (this.#values.get(series) ?? 0) + by)
  }

  text(): string {
    return family(this.#name, this.#help, 'counter', this.#values)
  }
}

/** Read at the time of asking: nothing has to be kept in step. */
export class Gauge implements Family {
  readonly #name: string
  readonly #help: string
  readonly #read: () => readonly (readonly [Labels, number])[]
  readonly #type: string

  /** `type` is `counter` for what only grows but is counted elsewhere. */
  constructor(
    name: string,
    help: string,
    read: () => readonly (readonly [Labels, number])[],
    type: 'gauge' | 'counter' = 'gauge',
  ) {
    this.#name = name
    this.#help = help
    this.#read = read
    this.#type = type
  }

  text(): string {
    const values = this.#read().map(([labels, value]) => [labelText(labels), value] as const)
    return family(this.#name, this.#help, this.#type, values)
  }
}

/** Of one series. */
export class Histogram implements Family {
  readonly #name: string
  readonly #help: string
  readonly #labels: Labels
  readonly #bounds: readonly number[]
  /** Not yet summed up; the last one is of what no bound holds. */
  readonly #counts: number[]
  #sum = 0

  /** `bounds` in rising order. */
  constructor(name: string, help: string, labels: Labels, bounds: readonly number[]) {
    this.#name = name
    this.#help = help
    this.#labels = labels
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    const found = this.#bounds.findIndex((bound) => value <= bound)
    const bucket = found === -1 ? this.#bounds.length : found
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  text(): string {
    let below = 0
    const buckets = this.#counts.map((count, index) => {
      below += count
      const le = index < this.#bounds.length ? String(this.#bounds[index]) : '+Inf'
      return [labelText({ ...this.#labels, le }), below] as const
    })
    const series = labelText(this.#labels)
    return (
      header(this.#name, this.#help, 'histogram') +
      lines(`${this.#name}_bucket`, buckets) +
      lines(`${this.#name}_sum`, [[series, this.#sum]]) +
      lines(`${this.#name}_count`, [[series, below]])
    )
  }
}

/** A name without samples would only look as if something were missing. */
function family(
  name: string,
  help: string,
  type: string,
  values: Iterable<readonly [string, number]>,
): string {
  const samples = lines(name, values)
  return samples === '' ? '' : header(name, help, type) + samples
}

function header(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
}

function lines(name: string, values: Iterable<readonly [string, number]>): string {
  return [...values].map(([series, value]) => `${name}${series} ${value}\n`).join('')
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`)
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
