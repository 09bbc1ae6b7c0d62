/** A damaged tree that is in use: marked, then replaced as a whole or not at all, and kept while it is mounted. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { collectGarbage } from '../../../src/engine/local/gc/collect.ts'
import { storedItems } from '../../../src/engine/local/gc/inventory.ts'
import {
  isMarkedDamaged,
  markDamaged,
  parseReplaced,
  makeTree,
} from '../../../src/engine/local/replaced-tree.ts'
import { AStore, ONE, SIGNAL } from './gc/a-store.ts'
import { temporaryFolder } from './temporary.ts'

const KEY = `${'0'.repeat(32)}-v2`

async function makeFresh(target: string): Promise<void> {
  await mkdir(target)
  writeFileSync(path.join(target, 'report.json'), 'fresh')
}

describe('a tree that is marked', () => {
  let [folder, dir] = ['', '']
  beforeEach(async () => {
    folder = await temporaryFolder()
    dir = path.join(folder, KEY)
    mkdirSync(dir)
    writeFileSync(path.join(dir, 'report.json'), 'damaged')
    await markDamaged(dir)
  })
  const report = (name = '') => readFileSync(path.join(folder, name, 'report.json'), 'utf8')

  test('is replaced, and is still there by a name that tells when', async () => {
    await makeTree(dir, makeFresh)
    const [fresh, replaced = '', ...others] = readdirSync(folder)
    expect([fresh, ...others]).toEqual([KEY])
    expect([report(KEY), report(replaced)]).toEqual(['fresh', 'damaged'])
    expect(await isMarkedDamaged(dir)).toBe(false)
    const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 100
    const { key, ticks = 0 } = parseReplaced(replaced) ?? {}
    expect(key).toBe(KEY)
    expect(Math.abs(uptime - ticks)).toBeLessThan(60_000)
  })

  test('stays as it is when no fresh one can be made', async () => {
    const work = makeTree(dir, () => Promise.reject(new Error('no registry')))
    await expect(work).rejects.toThrow('no registry')
    expect(readdirSync(folder)).toEqual([KEY])
    expect(await isMarkedDamaged(dir)).toBe(true)
  })

  test('is replaced although a killed process left half of an earlier attempt', async () => {
    mkdirSync(`${dir}.fresh`)
    await makeTree(dir, makeFresh)
    expect(report(KEY)).toBe('fresh')
    expect(existsSync(`${dir}.fresh`)).toBe(false)
  })

  test('is made anew when a process was killed between its two renames', async () => {
    renameSync(dir, `${dir}.replaced-5`)
    mkdirSync(`${dir}.fresh`)
    await makeTree(dir, makeFresh)
    expect(readdirSync(folder)).toEqual([KEY, `${KEY}.replaced-5`])
    expect(report(KEY)).toBe('fresh')
  })

  test('is made again later when another process takes the fresh one away', async () => {
    const work = makeTree(dir, () => Promise.resolve())
    await expect(work).rejects.toMatchObject({ reason: 'StateCorrupt', retry: 'backoff' })
    await makeTree(dir, makeFresh)
    expect(report(KEY)).toBe('fresh')
  })

  test('is replaced once when two do it', async () => {
    await makeTree(dir, async (target) => {
      await makeTree(dir, makeFresh)
      writeFileSync(path.join(dir, 'report.json'), 'of the faster one')
      await makeFresh(target)
    })
    expect(readdirSync(folder)).toHaveLength(2)
    expect(report(KEY)).toBe('of the faster one')
  })
})

test.each([KEY, `${KEY}-overlayfs`, `${KEY}.fresh`, `${KEY}.replaced-`, `.${KEY}.replaced-1`])(
  'a folder called %s is no replaced tree',
  (folder) => expect(parseReplaced(folder)).toBeUndefined(),
)

describe('the collector', () => {
  let store: AStore
  beforeEach(async () => {
    store = new AStore(await temporaryFolder())
  })

  test('marks a damaged tree in use, unless it only looks', async () => {
    const image = await store.add('used')
    await store.pin(ONE, image)
    await store.instance(ONE, image)
    const dir = store.treeDir(image)
    const damaged = new Set([dir])
    await store.collect({ damaged, dryRun: true })
    expect(await isMarkedDamaged(dir)).toBe(false)
    await store.collect({ damaged })
    expect(await isMarkedDamaged(dir)).toBe(true)
    expect(store.has(image)).toBe(true)
  })

  test('marks it before anything goes: that may be all that showed the damage', async () => {
    const image = await store.add('used')
    await store.instance(ONE, image)
    const blob = store.blobs.pathOf(image.manifest.layers[1]?.digest ?? image.digest)
    const stopped = collectGarbage({
      paths: store.paths,
      dryRun: false,
      damaged: new Set([store.treeDir(image), blob]),
      signal: SIGNAL,
      now: Date.now,
      onProgress: () => {
        throw new Error('stopped')
      },
    })
    await expect(stopped).rejects.toThrow('stopped')
    expect(existsSync(blob)).toBe(false)
    expect(await isMarkedDamaged(store.treeDir(image))).toBe(true)
  })

  test('takes replaced trees that nothing has mounted, though their image is pinned, and unfinished ones that nobody needs', async () => {
    const image = await store.add('used')
    await store.pin(ONE, image)
    const dir = store.treeDir(image)
    for (const name of [`${dir}.replaced-12`, `${dir}-overlayfs.replaced-12`]) mkdirSync(name)
    mkdirSync(path.join(store.paths.rootfs, `${KEY}.fresh`))
    const items = await storedItems(store.paths)
    expect(items.filter(({ kind }) => kind === 'leftover')).toHaveLength(3)
    await store.collect()
    expect(readdirSync(store.paths.rootfs)).toEqual([path.basename(dir)])
  })
})
