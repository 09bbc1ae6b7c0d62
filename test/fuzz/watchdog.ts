/**
 * A flaw that never ends can't be reported by the thread that is caught in it. A thread beside it sees the input that is
 * being tried, in shared memory, and when nothing moves for a while it saves that one and ends the process.
 */
import { mkdirSync, writeFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

const MAX_BYTES = 64 * 1024
/** Far longer than an input takes on a machine that does much else. */
const STUCK_MS = 60_000

interface Shared {
  /** Number of inputs so far, length of this one. */
  readonly counts: Int32Array
  readonly bytes: Uint8Array
  readonly file: string
  readonly stuckMs: number
}

export interface Watchdog {
  /** Tell it before each input. */
  trying(input: Buffer): void
  stop(): Promise<void>
}

/** `file` is where the input goes that nothing moves after. */
export function startWatchdog(file: string, stuckMs = STUCK_MS): Watchdog {
  const counts = new Int32Array(new SharedArrayBuffer(8))
  const bytes = new Uint8Array(new SharedArrayBuffer(MAX_BYTES))
  const shared: Shared = { counts, bytes, file, stuckMs }
  const worker = new Worker(new URL(import.meta.url), { workerData: shared })
  worker.unref()
  return {
    trying: (input) => {
      bytes.set(input.subarray(0, MAX_BYTES))
      counts[1] = input.length
      Atomics.add(counts, 0, 1)
    },
    stop: async () => void (await worker.terminate()),
  }
}

function watch({ counts, bytes, file, stuckMs }: Shared): void {
  for (let before = -1; ; before = Atomics.load(counts, 0)) {
    // Nobody wakes it: this is a pause of a thread that has no events.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stuckMs)
    if (Atomics.load(counts, 0) === before) break
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, Buffer.from(bytes.subarray(0, counts[1])))
  writeSync(2, `never ends: ${file}\n`)
  process.kill(process.pid, 'SIGABRT')
}

if (!isMainThread) watch(workerData as Shared)
