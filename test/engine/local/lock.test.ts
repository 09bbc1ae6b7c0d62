import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { takeLock, withLock } from '../../../src/engine/local/lock.ts'
import { failureOf } from '../../support/expected-error.ts'
import { firstLine, node, runToEnd, start, temporaryFolder } from './temporary.ts'

async function lockFile(): Promise<string> {
  return path.join(await temporaryFolder(), 'the lock')
}

test('a lock is held by one at a time and free again after its release', async () => {
  const file = await lockFile()
  const first = await takeLock(file, { wait: false })
  expect(first).toBeDefined()
  expect(await takeLock(file, { wait: false })).toBeUndefined()
  await first?.release()
  const second = await takeLock(file, { wait: false })
  expect(second).toBeDefined()
  await second?.release()
})

test('a release may be repeated', async () => {
  const lock = await takeLock(await lockFile(), { wait: false })
  await lock?.release()
  await expect(lock?.release()).resolves.toBeUndefined()
})

test('whoever waits gets the lock when it is free', async () => {
  const file = await lockFile()
  const first = await takeLock(file, { wait: false })
  const order: string[] = []
  const waiting = takeLock(file, { wait: true }).then((lock) => {
    order.push('second holds')
    return lock
  })
  // Long enough for the second to be waiting: another one is refused meanwhile.
  expect(await takeLock(file, { wait: false })).toBeUndefined()
  order.push('first releases')
  await first?.release()
  await (await waiting)?.release()
  expect(order).toEqual(['first releases', 'second holds'])
})

test('kill -9 of the holder frees the lock', async () => {
  const file = await lockFile()
  const holder = start(node('hold-lock.ts', file))
  expect(await firstLine(holder)).toBe('held')
  expect(await takeLock(file, { wait: false })).toBeUndefined()
  holder.kill('SIGKILL')
  const lock = await takeLock(file, { wait: true })
  expect(lock).toBeDefined()
  await lock?.release()
})

test('a holder that loses its lock is told', async () => {
  const file = await lockFile()
  const before = new Set(await children())
  const lock = await takeLock(file, { wait: false })
  const keepers = (await children()).filter((pid) => !before.has(pid))
  expect(keepers.length).toBeGreaterThan(0)
  for (const pid of keepers) process.kill(pid, 'SIGKILL')
  await expect(lock?.lost).resolves.toBeUndefined()
})

test('processes that count under a lock lose no count', async () => {
  const dir = await temporaryFolder()
  const [lock, counter] = [path.join(dir, 'lock'), path.join(dir, 'counter')]
  await writeFile(counter, '0')
  const runs = [1, 2, 3].map(() => runToEnd(node('count-under-lock.ts', lock, counter, '15')))
  expect((await Promise.all(runs)).map(({ code }) => code)).toEqual([0, 0, 0])
  expect(await readFile(counter, 'utf8')).toBe('45')
})

test('work that fails gives the lock back', async () => {
  const file = await lockFile()
  await expect(withLock(file, () => Promise.reject(new Error('work failed')))).rejects.toThrow('work failed')
  expect(await withLock(file, () => Promise.resolve('next'))).toBe('next')
})

test('a lock that can not be made is an error that names it', async () => {
  const file = path.join(await temporaryFolder(), 'missing', 'lock')
  expect(await failureOf(() => takeLock(file, { wait: false }))).toContain(file)
})

test('a process that holds a lock and has nothing else to do may end', async () => {
  const file = await lockFile()
  const code = `
    import { takeLock } from ${JSON.stringify(path.resolve('src/engine/local/lock.ts'))}
    const lock = await takeLock(${JSON.stringify(file)}, { wait: false })
    process.stdout.write('held')
    await lock.release()
  `
  const child = start([process.execPath, '--input-type=module', '--eval', code])
  const [exit] = (await once(child, 'close')) as [number]
  expect(exit).toBe(0)
})

/** Ids of this process's children. */
async function children(): Promise<number[]> {
  const text = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
  return text
    .trim()
    .split(' ')
    .filter((pid) => pid !== '')
    .map(Number)
}
