/** So many at once for each key; the others wait in line, first come, first served. */

interface Line {
  running: number
  readonly waiting: (() => void)[]
}

export class Turns {
  readonly #most: number
  readonly #lines = new Map<string, Line>()

  constructor(most: number) {
    this.#most = most
  }

  /** Runs `work` when its turn comes. Rejects with the signal's reason when that comes first. */
  async during<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] }
    this.#lines.set(key, line)
    if (line.running >= this.#most) await inLine(line, signal)
    else line.running += 1
    try {
      return await work()
    } finally {
      this.#next(key, line)
    }
  }

  /** A turn is handed on as it is, so nobody who comes just now gets in between. */
  #next(key: string, line: Line): void {
    const next = line.waiting.shift()
    if (next !== undefined) return next()
    line.running -= 1
    if (line.running === 0) this.#lines.delete(key)
  }
}

function inLine({ waiting }: Line, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const leave = () => {
    waiting.splice(waiting.indexOf(begin), 1)
    reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
  }
  const begin = () => {
    signal.removeEventListener('abort', leave)
    resolve()
  }
  waiting.push(begin)
  signal.addEventListener('abort', leave, { once: true })
  return promise
}
