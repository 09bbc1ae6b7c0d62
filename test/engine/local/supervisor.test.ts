import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { InstanceRecord } from '../../../src/engine/local/instance-store.ts'
import { runPaths, statePaths } from '../../../src/engine/local/paths.ts'
import { currentBootId, startTicksOf } from '../../../src/engine/local/process-facts.ts'
import { isUp, waitUntil } from '../../../src/engine/local/supervisor.ts'
import { digest, KEY } from '../../support/builders.ts'
import { failureOf } from '../../support/expected-error.ts'
import { runToEnd, temporaryFolder } from './temporary.ts'

const RECORD: InstanceRecord = {
  id: 'chat_mattermost_0123456789',
  key: KEY,
  revision: '0123456789',
  digest: digest('a1'),
  runtime: 'runc',
  identity: { uid: 0, gid: 0, additionalGids: [] },
  workingDir: '/',
  env: [],
  stopSignal: 'SIGTERM',
  graceSeconds: 1,
  hooks: [{ field: 'spec.hooks[0]', path: '/hook' }],
  volumes: [],
}

/** A run whose supervisor is this very process. */
async function aRun(pid: string) {
  const paths = statePaths(await temporaryFolder())
  const files = runPaths(paths, RECORD.id, 1)
  await mkdir(files.hookMount, { recursive: true })
  await writeFile(files.supervisor, `${process.pid} ${startTicksOf(process.pid) ?? ''} ${currentBootId()}\n`)
  await writeFile(files.pid, pid)
  return { up: (record = RECORD) => isUp(paths, record, 1), ok: path.join(files.hookMount, 'ok') }
}

describe('a container is up', () => {
  test('when its hooks passed', async () => {
    const { up, ok } = await aRun('1')
    expect(await up()).toBe(false)
    await writeFile(ok, '')
    expect(await up()).toBe(true)
  })

  test('at once when it has no hooks', async () => {
    expect(await (await aRun('1')).up({ ...RECORD, hooks: [] })).toBe(true)
  })

  test('not before the runtime knows its process', async () => {
    expect(await (await aRun('')).up({ ...RECORD, hooks: [] })).toBe(false)
  })

  // The app can write there. Opening a FIFO would block, reading /dev/zero would never end.
  test.each<[string, (ok: string) => Promise<unknown>]>([
    ['a FIFO', (ok) => runToEnd(['mkfifo', ok])],
    ['a link to an endless file', (ok) => symlink('/dev/zero', ok)],
    ['a link to a file of the host', (ok) => symlink('/etc/hostname', ok)],
    ['a folder', (ok) => mkdir(ok)],
  ])('not by %s in the place of the result', async (_title, make) => {
    const { up, ok } = await aRun('1')
    await make(ok)
    expect(await up()).toBe(false)
  })
})

describe('waitUntil', () => {
  test('ends when the condition holds', async () => {
    const dir = await temporaryFolder()
    let asked = 0
    await waitUntil(dir, 10_000, () => Promise.resolve(++asked === 3))
    expect(asked).toBe(3)
  })

  test('is woken by a change in the folder, long before it would look by itself', async () => {
    const dir = await temporaryFolder()
    const times: number[] = []
    const waiting = waitUntil(dir, 10_000, () => {
      times.push(performance.now())
      return Promise.resolve(times.length === 2)
    })
    await writeFile(path.join(dir, 'file'), '')
    await waiting
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeLessThan(200)
  })

  test('gives up after its time', async () => {
    const dir = await temporaryFolder()
    expect(await failureOf(() => waitUntil(dir, 50, () => Promise.resolve(false)))).toMatch(/^TimedOut: /)
  })

  test('hands on what the condition throws', async () => {
    const dir = await temporaryFolder()
    await expect(waitUntil(dir, 1000, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  })
})
