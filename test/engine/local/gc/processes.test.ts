/** The collector beside processes that use the store, and killed at every step. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Leases } from '../../../../src/engine/local/gc/leases.ts'
import { namesOf } from '../../../../src/engine/local/image-store.ts'
import { withLock } from '../../../../src/engine/local/lock.ts'
import { ingestName } from '../../../../src/registry/ingest-name.ts'
import { firstLine, runToEnd, start, temporaryFolder } from '../temporary.ts'
import { IS_ROOT } from '../unpack/unpacked.ts'
import { AStore, ONE, SIGNAL } from './a-store.ts'

const script = (name: string) => [process.execPath, join(import.meta.dirname, name)]
const WORDS = /^(?:collected \d+\n)*$/

describe('beside processes that pull, unpack and pin', () => {
  test.skipIf(!IS_ROOT)('nothing vanishes that they use', async () => {
    const dir = await temporaryFolder()
    const users = ['one', 'two'].map((name) => runToEnd([...script('prepare-process.ts'), dir, '40', name]))
    const done = join(await temporaryFolder(), 'done')
    const collectors = [1, 2].map(() => runToEnd([...script('collect-process.ts'), dir, done]))
    const ends = await Promise.all(users)
    await writeFile(done, '')
    for (const { stdout, stderr } of ends) expect(stderr + stdout).toBe('done\n')
    const collected = await Promise.all(collectors)
    for (const { stdout, stderr } of collected) expect(stderr + stdout).toMatch(WORDS)
    // Else it would hold because nothing was ever collected.
    expect(collected.some(({ stdout }) => /collected [1-9]/.test(stdout))).toBe(true)
  })
})

describe.skipIf(!IS_ROOT)('a disk that takes no lease', () => {
  test.each([
    ['full', (dir: string) => fillUp(join(dir, 'filler'))],
    ['read-only', (dir: string) => execFileSync('mount', ['-o', 'remount,ro', dir])],
  ])('because it is %s keeps nobody from using what is pinned', async (_how, wreck) => {
    const dir = await temporaryFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', dir])
    try {
      const store = new AStore(dir)
      const image = await store.add('there')
      await store.pin(ONE, image)
      wreck(dir)
      const leases = new Leases(store.paths.leases)
      await expect(leases.take(namesOf(image), SIGNAL)).rejects.toThrow(/no space|EROFS|ENOENT/)
      await (await leases.takePinned(namesOf(image), SIGNAL)).release()
    } finally {
      execFileSync('umount', [dir])
    }
  })
})

test.skipIf(!IS_ROOT)('a full disk is what a collector is for', async () => {
  const dir = await temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', dir])
  try {
    const store = new AStore(dir)
    await store.pin(ONE, await store.add('pinned'))
    const unused = await store.add('unused')
    fillUp(join(dir, 'filler'))
    expect((await store.collect()).freedBytes).toBeGreaterThan(0)
    expect(store.has(unused)).toBe(false)
    appendFileSync(join(dir, 'filler'), Buffer.alloc(4096))
  } finally {
    execFileSync('umount', [dir])
  }
})

/** Until the disk has not a byte left. */
function fillUp(file: string): void {
  expect(() => {
    for (;;) appendFileSync(file, Buffer.alloc(4096))
  }).toThrow('ENOSPC')
}

describe.skipIf(!IS_ROOT)('a mount', () => {
  test('of a mount namespace that is not ours keeps its tree', async () => {
    const store = new AStore(await temporaryFolder())
    const image = await store.add('mounted')
    const lower = join(store.treeDir(image), 'rootfs')
    const mount = `mkdir "$0/u" "$0/w" "$0/m" && mount -t overlay -o "lowerdir=$1,upperdir=$0/u,workdir=$0/w" overlay "$0/m"`
    // Layers of an overlay must not be on one themselves, as a container's own file system is.
    const tmpfs = 'mkdir "$0/t" && mount -t tmpfs tmpfs "$0/t" && set -- "$1" && cd /'
    const script = `${tmpfs} && d="$0/t" && exec sh -c '${mount} && echo mounted && exec cat' "$d" "$1"`
    const child = start([
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      store.paths.root,
      lower,
    ])
    expect(await firstLine(child)).toBe('mounted')
    await store.collect()
    expect(store.has(image)).toBe('tree')
    const ended = once(child, 'exit')
    child.stdin?.end()
    await ended
    await store.collect()
    expect(store.has(image)).toBe(false)
  })
})

describe('a collector that is killed', () => {
  test('after any of its steps leaves nothing that the next one does not finish', async () => {
    let kills = 0
    for (let step = 1; ; step++) {
      const dir = await temporaryFolder()
      const store = new AStore(dir)
      const [pinned, unused] = [await store.add('pinned'), await store.add('unused')]
      await store.pin(ONE, pinned)
      const crashed = await runToEnd([...script('collect-process.ts'), dir], {
        env: { FAIRLEAD_CRASH_AFTER_WRITE: String(step) },
      })
      if (crashed.signal === 'SIGKILL') kills += 1
      expect(store.has(pinned)).toBe(true)
      // Whoever wants to use the store is not held up by the announcement of the dead.
      const lease = await new Leases(store.paths.leases).take([unused.digest], SIGNAL)
      await lease.release()
      await store.collect()
      expect(store.has(unused)).toBe(false)
      expect(store.has(pinned)).toBe(true)
      expect((await store.names()).filter((name) => name.includes('.removed-'))).toEqual([])
      expect(await readdir(store.paths.leases)).toEqual([])
      if (crashed.code === 0) break
    }
    // Three things go: one step each.
    expect(kills).toBe(3)
  })
})

describe('leases', () => {
  test('are not given while a collector decides', async () => {
    const leases = new Leases(join(await temporaryFolder(), 'leases'))
    const announcement = await leases.announceCollector()
    const order: string[] = []
    const taking = leases.take(['x'], SIGNAL).then(() => order.push('taken'))
    await expect.poll(() => leases.names()).toEqual(new Set(['x']))
    order.push('released')
    await announcement.release()
    await taking
    expect(order).toEqual(['released', 'taken'])
  })

  test('are given back when their taker gives up waiting', async () => {
    const leases = new Leases(join(await temporaryFolder(), 'leases'))
    await leases.announceCollector()
    const abort = new AbortController()
    const taking = leases.take(['x'], abort.signal).catch((error: unknown) => error)
    await expect.poll(() => leases.names()).toEqual(new Set(['x']))
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await taking).toBe(reason)
    expect(await leases.names()).toEqual(new Set())
  })

  test('have names of their own', async () => {
    expect(await ingestName()).not.toBe(await ingestName())
  })
})

test('collectors wait for each other', async () => {
  const store = new AStore(await temporaryFolder())
  await store.add('unused')
  let collecting: Promise<unknown> = Promise.resolve()
  let ended = false
  await withLock(store.paths.collectorLock, async () => {
    collecting = store.collect().then(() => {
      ended = true
    })
    await new Leases(store.paths.leases).take([], SIGNAL)
    expect(ended).toBe(false)
  })
  await collecting
  expect(ended).toBe(true)
})
