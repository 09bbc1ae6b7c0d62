/**
 * Downloads on their way: who joins whose. Only callers that ask the same place as the same user for the same number of
 * bytes share one, so that a slow, failing or forbidden place is nobody else's, and no wrong size of one image harms
 * another. Downloads of one blob from several places run beside each other; the first that is whole ends the others.
 */
import type { ImageSource } from '../image/source.ts'
import type { Descriptor } from '../image/types.ts'
import { abortable } from './abortable.ts'

export type Listener = (bytes: number) => void

export interface Caller {
  readonly signal: AbortSignal
  /** Hears how many bytes came with each chunk. */
  readonly onBytes: Listener
}

/** Downloads the blob; resolves to its path. */
export type Work = (stop: AbortSignal, tell: Listener) => Promise<string>

interface Download {
  readonly key: string
  /** Digest and size. */
  readonly blob: string
  readonly abort: AbortController
  readonly listeners: Set<Listener>
  readonly result: PromiseWithResolvers<string>
  waiting: number
}

export class Downloads {
  readonly #running = new Map<string, Download>()
  readonly #unnamed = new WeakMap<ImageSource, string>()
  #lastUnnamed = 0

  /** The path; throws what the download throws, or the caller's own reason when that aborts. */
  async join(
    source: ImageSource,
    { digest, size }: Descriptor,
    { signal, onBytes }: Caller,
    work: Work,
  ): Promise<string> {
    const place = await this.#placeOf(source, signal)
    signal.throwIfAborted()
    const blob = `${digest} ${size}`
    const key = `${blob} ${place}`
    const download = this.#running.get(key) ?? this.#start(key, blob, work)
    // Each caller has a listener of its own, even where two pass the same function.
    const listener: Listener = (bytes) => onBytes(bytes)
    download.listeners.add(listener)
    download.waiting += 1
    try {
      return await abortable(download.result.promise, signal)
    } finally {
      download.listeners.delete(listener)
      download.waiting -= 1
      if (download.waiting === 0) this.#abandon(download)
    }
  }

  /** A source that does not name its place shares with itself alone. */
  async #placeOf(source: ImageSource, signal: AbortSignal): Promise<string> {
    const named = await source.place?.(signal)
    if (named !== undefined) return named
    const known = this.#unnamed.get(source) ?? `unnamed ${(this.#lastUnnamed += 1)}`
    this.#unnamed.set(source, known)
    return known
  }

  #start(key: string, blob: string, work: Work): Download {
    const download: Download = {
      key,
      blob,
      abort: new AbortController(),
      listeners: new Set(),
      result: Promise.withResolvers(),
      waiting: 0,
    }
    this.#running.set(key, download)
    // Everyone may have left before it fails.
    download.result.promise.catch(() => undefined)
    const tell: Listener = (bytes) => {
      for (const listener of download.listeners) listener(bytes)
    }
    work(download.abort.signal, tell).then(
      (path) => this.#whole(download, path),
      (error: unknown) => {
        this.#forget(download)
        download.result.reject(error)
      },
    )
    return download
  }

  /** Serves whoever waits for the blob, wherever from. */
  #whole({ blob }: Download, path: string): void {
    for (const download of [...this.#running.values()].filter((each) => each.blob === blob)) {
      this.#forget(download)
      download.result.resolve(path)
      download.abort.abort(new Error('the blob has come from another place'))
    }
  }

  /** Nobody waits any more: who comes now must not join a download that is being stopped. */
  #abandon(download: Download): void {
    this.#forget(download)
    download.abort.abort()
  }

  #forget(download: Download): void {
    if (this.#running.get(download.key) === download) this.#running.delete(download.key)
  }
}
