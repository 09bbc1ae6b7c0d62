/**
 * Of images with very many files one is read at a time: each takes a large part of the controller's memory. Whoever has
 * the turn may be slow, but not for ever while others wait.
 */
import { ExpectedError } from '../../../errors.ts'
import type { LayerUsage } from '../../../rootfs/types.ts'
import { Places, type Leave } from './places.ts'

/** Up to here an image is like any other. */
const LARGE: Pick<LayerUsage, 'entries' | 'metadataBytes'> = { entries: 50_000, metadataBytes: 16 << 20 }
/** So long nobody is disturbed. */
const TENURE_MS = 5 * 60_000

export function isLarge({ entries, metadataBytes }: LayerUsage): boolean {
  return entries > LARGE.entries || metadataBytes > LARGE.metadataBytes
}

interface Holder {
  isOld: boolean
  readonly stop: AbortController
}

export class LargeTurn {
  readonly #place = new Places(1)
  readonly #tenureMs: number
  #waiting = 0
  #holder: Holder | undefined

  constructor(tenureMs: number = TENURE_MS) {
    this.#tenureMs = tenureMs
  }

  /** `stop` is aborted with RegistryUnavailable when the turn has lasted too long and others wait. */
  async take(stop: AbortController, signal: AbortSignal): Promise<Leave> {
    this.#waiting += 1
    this.#judge()
    const leave = await this.#place.take('', signal).finally(() => (this.#waiting -= 1))
    const holder: Holder = { isOld: false, stop }
    this.#holder = holder
    const timer = setTimeout(() => {
      holder.isOld = true
      this.#judge()
    }, this.#tenureMs)
    return () => {
      clearTimeout(timer)
      if (this.#holder === holder) this.#holder = undefined
      leave()
    }
  }

  #judge(): void {
    if (this.#holder?.isOld !== true || this.#waiting === 0) return
    const message = `reading the image's many files was stopped after ${this.#tenureMs / 1000} s, since other large images wait`
    this.#holder.stop.abort(new ExpectedError('RegistryUnavailable', message, { retry: 'backoff' }))
  }
}
