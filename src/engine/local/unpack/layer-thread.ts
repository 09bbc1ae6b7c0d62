/**
 * A thread that reads layers, one after the other: decompresses, hashes, parses and writes them, all but getting their
 * bytes. Started by `LayerThread`, which ends it after the last one, or after one that failed.
 */
import { parentPort } from 'node:worker_threads'
import { invariant } from '../../../errors.ts'
import { emptyReport } from '../../../rootfs/layer-notes.ts'
import { readLayer } from '../../../rootfs/read-layer.ts'
import { DiskSpool } from './disk-spool.ts'
import { encodeEntries } from './layer-index.ts'
import { LayerTally, SharedUsage } from './shared-usage.ts'
import { sendError, type FromThread, type ThreadTask, type ToThread } from './thread-messages.ts'

/** Chunks asked for before they are needed: one is on its way while another is decompressed. */
const AHEAD = 2

invariant(parentPort !== null, 'this module runs as a thread')
const port = parentPort

function send(message: FromThread, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, [...transfer])
}

const arrived: Exclude<ToThread, { kind: 'task' }>[] = []
let wake = (): void => undefined

async function* incoming(): AsyncGenerator<Uint8Array, void, undefined> {
  for (let count = 0; count < AHEAD; count += 1) send({ kind: 'want' })
  const used: ArrayBuffer[] = []
  for (;;) {
    const message = arrived.shift()
    if (message === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    } else if (message.kind === 'chunk') {
      send({ kind: 'want' })
      yield message.bytes
      used.push(message.bytes.buffer)
      // Given back now, not when the collector comes by. The last one may still be looked at beside the next.
      if (used.length > 1) used.shift()?.transfer(0)
    } else return
  }
}

async function work({ usage, dir, spool, ...task }: ThreadTask): Promise<void> {
  const tally = new LayerTally(new SharedUsage(usage))
  const report = emptyReport()
  const read = await readLayer({
    ...task,
    blob: incoming(),
    sink: new DiskSpool(dir, spool),
    usage: tally,
    report,
    onRead: () => undefined,
  })
  const entries = new Uint8Array(encodeEntries(read))
  send({ kind: 'done', entries, usage: tally.own, report }, [entries.buffer])
}

port.on('message', (message: ToThread) => {
  if (message.kind === 'task') {
    // Answers to what the layer before asked for beyond its end.
    arrived.length = 0
    work(message.task).catch((error: unknown) => send({ kind: 'failed', error: sendError(error) }))
    return
  }
  arrived.push(message)
  wake()
})
