/** Options as a command reads them: each in the one form that it was declared with. */
import { parseDuration } from '../crd/duration.ts'
import { UsageError } from './usage-error.ts'

export class OptionValues {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  /** A switch; `--no-x` makes `x` false, which otherwise is true. */
  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
  }

  /** A Go duration in milliseconds; UsageError when it is none. */
  durationMs(name: string, fallbackMs: number): number {
    const text = this.text(name)
    if (text === undefined) return fallbackMs
    const ms = parseDuration(text)
    if (ms === undefined || ms === 0) {
      throw new UsageError(
        `found ${JSON.stringify(text)}; must be a duration above 0, such as 90s or 5m`,
        `--${dashed(name)}`,
      )
    }
    return ms
  }

  /** A whole number from `least`; undefined when it is not given. */
  count(name: string, least = 0): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!/^\d{1,9}$/.test(text) || Number(text) < least) {
      throw new UsageError(
        `found ${JSON.stringify(text)}; must be a whole number, ${least} or more`,
        `--${dashed(name)}`,
      )
    }
    return Number(text)
  }
}

/** `waitTimeout` as it is typed. */
function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
