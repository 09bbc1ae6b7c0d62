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
/** Far more than a system call takes. */
const GIVEN_UP_MS = 5_000

/** Asks for all helpers that there are now. Never rejects. */
export async function makeHelpersBatchThreads(): Promise<void> {
  try {
    await Promise.all((await readdir(TASKS)).map(makeBatchThread))
  } catch {
    // No /proc, or a thread has ended meanwhile.
  }
}

async function makeBatchThread(id: string): Promise<void> {
  const stat = await readFile(`${TASKS}/${id}/stat`, 'utf8')
  const policy = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[POLICY]
  if (!HELPERS.test(stat) || policy !== SCHED_OTHER) return
  const child = spawn('chrt', ['--batch', '--pid', '0', id], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] },
    signal: AbortSignal.timeout(GIVEN_UP_MS),
    killSignal: 'SIGKILL',
  })
  // Not installed, forbidden by whoever confines this process, or given up.
  child.on('error', () => undefined)
  await once(child, 'close').catch(() => undefined)
}
