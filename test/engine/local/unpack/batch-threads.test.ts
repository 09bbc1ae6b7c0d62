/** Helper threads give way to the main thread, which stays as it is, and so do the programs that it starts. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../../src/image/digest.ts'

const MODULES = join(import.meta.dirname, '../../../../src/engine/local/unpack')

/** Threads that never become what they should would be waited for in vain. */
const GIVEN_UP_MS = 60_000

/** What a process of its own prints after `work`: threads of a test's own process would stay as they are made here. */
function printedBy(work: string, env: Record<string, string> = {}): unknown {
  const script = `
    import { execFileSync } from 'node:child_process'
    import { readdirSync, readFileSync } from 'node:fs'
    import { stat } from 'node:fs/promises'
    import { makeHelpersBatchThreads } from '${MODULES}/batch-threads.ts'
    import { HashWorker } from '${MODULES}/hash-worker.ts'
    const policyIn = (text) => Number(text.slice(text.lastIndexOf(') ') + 2).split(' ')[38])
    const policies = () => {
      const found = {}
      for (const id of readdirSync('/proc/self/task')) {
        const text = readFileSync('/proc/self/task/' + id + '/stat', 'utf8')
        ;(found[/\\((.*)\\)/.exec(text)[1]] ??= new Set()).add(policyIn(text))
      }
      return Object.fromEntries(Object.entries(found).map(([name, values]) => [name, [...values]]))
    }
    const ofChild = () => policyIn(execFileSync('/bin/cat', ['/proc/self/stat'], { encoding: 'utf8' }))
    await Promise.all(Array.from({ length: 8 }, () => stat('/')))
    ${work}`
  const output = execFileSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    timeout: GIVEN_UP_MS,
    env: { ...process.env, ...env },
  })
  return JSON.parse(output)
}

describe('threads that work for the main thread', () => {
  test('become batch threads; the main thread and its children do not', () => {
    const printed = printedBy(`
      const before = policies()
      await makeHelpersBatchThreads()
      const after = policies()
      const main = policyIn(readFileSync('/proc/self/stat', 'utf8'))
      console.log(JSON.stringify({ before: before['libuv-worker'], after: after['libuv-worker'], main, child: ofChild() }))`)
    expect(printed).toEqual({ before: [0], after: [3], main: 0, child: 0 })
  })

  test('do so as soon as digests are computed beside them', () => {
    const printed = printedBy(`
      const worker = new HashWorker({ threadFrom: 0 })
      const hash = worker.hashFor(1)
      await hash.update(Buffer.from('a'))
      await hash.digest()
      let seen = policies()
      while (seen['WorkerThread']?.includes(0) || seen['libuv-worker'].includes(0)) {
        await stat('/')
        seen = policies()
      }
      await worker.close()
      console.log(JSON.stringify({ hashing: seen['WorkerThread'], pool: seen['libuv-worker'] }))`)
    expect(printed).toEqual({ hashing: [3], pool: [3] })
  })

  test('hold up no unpacking where chrt hangs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fairlead-path-'))
    await writeFile(join(folder, 'chrt'), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 })
    const printed = printedBy(
      `
      import { setTimeout as wait } from 'node:timers/promises'
      const worker = new HashWorker({ threadFrom: 0 })
      const digest = await worker.hashFor(1).digest()
      const first = await Promise.race([worker.close().then(() => 'closed'), wait(4_000, 'held up', { ref: false })])
      console.log(JSON.stringify({ digest, first }))`,
      { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    )
    expect(printed).toEqual({ digest: digestOf(''), first: 'closed' })
    await rm(folder, { recursive: true })
  })

  test('stay as they are where chrt is missing', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'fairlead-path-'))
    const printed = printedBy(
      `
      await makeHelpersBatchThreads()
      console.log(JSON.stringify(policies()['libuv-worker']))`,
      { PATH: empty },
    )
    expect(printed).toEqual([0])
    await rm(empty, { recursive: true })
  })
})
