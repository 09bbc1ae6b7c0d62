/**
 * Node's helper threads give way. Each piece of a layer wakes one thread that decompresses and one that computes digests,
 * and Linux lets a thread that wakes take the processor of the thread that woke it, even beside an idle one. Batch
 * threads (SCHED_BATCH, sched(7)) wait for their turn: unpacking takes an eighth less time. A hint, so nothing fails
 * without it. The main thread keeps its policy, which the containers that it starts inherit.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'

const TASKS = '/proc/self/task'
/** Names that Node gives to the threads of libuv's pool and to its workers. */
const HELPERS = /^\d+ \((?:libuv-worker|WorkerThread)\) /
/** From its state on, a thread's `stat` has 39 fields up to its policy (proc(5)). */
const POLICY = 38
const SCHED_OTHER = '0'
/** Far more than these system calls take. */
const GIVEN_UP_SECONDS = '5'
/** One program for all of them: starting one stops the main thread for some milliseconds. */
const SCRIPT = 'for id do chrt --batch --pid 0 "$id"; done'

/** Asks for all helpers that there are now. Never rejects. */
export async function makeHelpersBatchThreads(): Promise<void> {
  try {
    const threads = await readdir(TASKS)
    const areHelpers = await Promise.all(threads.map(isPlainHelper))
    await makeBatchThreads(threads.filter((_, at) => areHelpers[at]))
  } catch {
    // No /proc, or a thread has ended meanwhile; nothing installed, or forbidden by whoever confines this process.
  }
}

async function isPlainHelper(id: string): Promise<boolean> {
  const stat = await readFile(`${TASKS}/${id}/stat`, 'utf8')
  const policy = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[POLICY]
  return HELPERS.test(stat) && policy === SCHED_OTHER
}

async function makeBatchThreads(ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const command = ['--signal=KILL', GIVEN_UP_SECONDS, 'sh', '-c', SCRIPT, 'sh', ...ids]
  await once(spawn('timeout', command, { stdio: 'ignore', env: { PATH: process.env['PATH'] } }), 'close')
}
