import { existsSync } from 'node:fs'
import { link, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { Leases } from '../../../../src/engine/local/gc/leases.ts'
import { namesOf, treeKey } from '../../../../src/engine/local/image-store.ts'
import { appPaths, instancePaths, volumePaths } from '../../../../src/engine/local/paths.ts'
import type { ResolvedImage } from '../../../../src/image/types.ts'
import { ingestName } from '../../../../src/registry/ingest-name.ts'
import { temporaryFolder } from '../temporary.ts'
import { AStore, ONE, SIGNAL } from './a-store.ts'

const TWO = { namespace: 'default', name: 'two' }

let store: AStore
beforeEach(async () => {
  store = new AStore(await temporaryFolder())
})

describe('what nobody needs', () => {
  test('goes: record, merged tree and own layers; shared layers stay with who needs them', async () => {
    const [used, unused] = [await store.add('used'), await store.add('unused')]
    await store.pin(ONE, used)
    const before = await store.names()
    const report = await store.collect()
    expect(store.has(unused)).toBe(false)
    expect(store.has(used)).toBe(true)
    expect(report.removed.map(({ kind }) => kind).sort()).toEqual(['blob', 'record', 'tree'])
    expect(report.freedBytes).toBeGreaterThan(0)
    expect(report.freedBytes).toBe(report.removed.reduce((sum, { bytes }) => sum + bytes, 0))
    // Nothing but these three went, and nothing was left beside.
    const gone = before.filter((name) => !existsSync(join(store.paths.root, name)))
    expect(
      gone.every((name) => name.startsWith('blobs/') || name.startsWith(`rootfs/${treeKey(unused)}`)),
    ).toBe(true)
    expect((await store.names()).filter((name) => !before.includes(name))).toEqual([])
  })

  test('is only named by a dry run', async () => {
    const unused = await store.add('unused')
    const before = await store.names()
    const told = await store.collect({ dryRun: true })
    expect(await store.names()).toEqual(before)
    const done = await store.collect()
    expect({ ...done, dryRun: true }).toEqual(told)
    expect(store.has(unused)).toBe(false)
  })

  test('counts as freed only what no other name keeps', async () => {
    const [used, unused] = [await store.add('used'), await store.add('unused')]
    await store.pin(ONE, used)
    const big = join(store.treeDir(unused), 'rootfs', 'big')
    await writeFile(big, Buffer.alloc(1 << 20, 1))
    const alone = (await store.collect({ dryRun: true })).freedBytes
    await link(big, join(store.treeDir(used), 'rootfs', 'big'))
    const shared = (await store.collect({ dryRun: true })).freedBytes
    expect(alone - shared).toBe(1 << 20)
  })

  test('an empty or missing state folder is no trouble and stays as it is', async () => {
    expect(await store.collect()).toMatchObject({ removed: [], kept: [], problems: [] })
    expect(existsSync(store.paths.root)).toBe(false)
  })
})

describe('is kept', () => {
  test('what an app is pinned to and could be rolled back to, and told by name', async () => {
    const images = [await store.add('pin'), await store.add('before'), await store.add('long-ago')]
    await store.pin(ONE, ...images)
    const { removed, kept } = await store.collect()
    expect(removed).toEqual([])
    expect(images.map((image) => store.has(image))).toEqual([true, true, true])
    const why = kept.map(({ kind, why }) => `${kind} ${why}`)
    expect(why).toContain('tree pinned by default/one')
    expect(why.filter((words) => words === 'tree rollback target of default/one')).toHaveLength(2)
  })

  test('by its strongest reason: what runs before what is pinned, and that before a way back', async () => {
    const [pinned, target] = [await store.add('pinned'), await store.add('target')]
    await store.pin(ONE, pinned, target)
    await store.pin(TWO, target, pinned)
    await store.instance(TWO, target)
    const { kept } = await store.collect()
    const why = (kind: string, name: string) =>
      kept.find((item) => item.kind === kind && item.name === name)?.why
    expect(why('record', target.digest)).toBe('pinned by default/two')
    expect(why('tree', basename(store.treeDir(target)))).toBe('used by instance default_two_r1')
    expect(why('tree', basename(store.treeDir(pinned)))).toBe('pinned by default/one')
  })

  test('what an app uses that is being removed', async () => {
    const image = await store.add('pin')
    await store.pin(ONE, image)
    await store.apps.requestDeletion(ONE, false)
    await store.collect()
    expect(store.has(image)).toBe(true)
  })

  test('what a container runs from whose app is gone', async () => {
    const image = await store.add('ran')
    await store.instance(ONE, image)
    expect((await store.collect()).removed).toEqual([])
    expect(store.has(image)).toBe(true)
  })

  test('the tree that a half-made instance names in its script', async () => {
    const image = await store.add('ran')
    const files = instancePaths(store.paths, 'default_one_r2')
    await mkdir(files.dir, { recursive: true })
    await writeFile(files.script, `mount -t overlay -o lowerdir='${store.treeDir(image)}/rootfs'`)
    await store.collect()
    expect(store.has(image)).toBe('tree')
  })

  test('what a living process has leased, until it gives it back', async () => {
    const image = await store.add('leased')
    const lease = await new Leases(store.paths.leases).take(namesOf(image), SIGNAL)
    expect((await store.collect()).removed).toEqual([])
    await lease.release()
    await store.collect()
    expect(store.has(image)).toBe(false)
  })

  test('nothing for the lease of a process that is gone', async () => {
    const image = await store.add('leased')
    const name = (await ingestName()).replace(/\.\d+\./, '.4194304.')
    await mkdir(store.paths.leases, { recursive: true })
    await writeFile(join(store.paths.leases, name), JSON.stringify(namesOf(image)))
    await store.collect()
    expect(store.has(image)).toBe(false)
    expect(await readdir(store.paths.leases)).toEqual([])
  })

  test.each(['', '["a', 'null', '{}', '"a"', '["a",7]'])(
    'everything while a living process has %j for a lease',
    async (text) => {
      const image = await store.add('leased')
      await mkdir(store.paths.leases, { recursive: true })
      const path = join(store.paths.leases, await ingestName())
      await writeFile(path, text)
      await expect(store.collect()).rejects.toMatchObject({ reason: 'StateCorrupt', path })
      expect(store.has(image)).toBe(true)
    },
  )

  test('the trees of an image, however its layers were merged', async () => {
    const [used, unused] = [await store.add('used'), await store.add('unused')]
    await store.pin(ONE, used)
    const trees = [used, unused].map((image) => join(store.paths.rootfs, treeKey(image, 'overlayfs')))
    for (const tree of trees) await mkdir(tree)
    await store.collect()
    expect(trees.map((tree) => existsSync(tree))).toEqual([true, false])
  })

  test('every volume, whatever it belongs to', async () => {
    const dir = volumePaths(store.paths, ONE, '/data').data
    await mkdir(dir, { recursive: true })
    await writeFile(join(dir, 'f'), 'precious')
    await store.add('unused')
    await store.collect()
    expect(existsSync(join(dir, 'f'))).toBe(true)
  })
})

describe('state that cannot be read', () => {
  const wrongForm = JSON.stringify({ image: { digest: 'sha256:short' } })
  test.each([
    ['a status that is no JSON', async () => writeFile(appPaths(store.paths, ONE).status, '{"image":')],
    ['a status of the wrong form', async () => writeFile(appPaths(store.paths, ONE).status, wrongForm)],
    [
      'a status that is a folder',
      async () => {
        await rm(appPaths(store.paths, ONE).status)
        await mkdir(appPaths(store.paths, ONE).status)
      },
    ],
    [
      'the script of an instance',
      async () => mkdir(instancePaths(store.paths, 'default_one_r1').script, { recursive: true }),
    ],
    [
      'an instance',
      async () => {
        const files = instancePaths(store.paths, 'default_one_r1')
        await mkdir(files.dir, { recursive: true })
        await writeFile(files.record, '{}')
      },
    ],
    [
      'a record that is a folder',
      async () => {
        const image = await store.add('pin')
        await store.pin(ONE, image)
        await rm(store.recordFile(image.digest))
        await mkdir(store.recordFile(image.digest))
      },
    ],
    [
      'the record of a pin',
      async () => {
        const image = await store.add('pin')
        await store.pin(ONE, image)
        await writeFile(store.recordFile(image.digest), '{"digest":"x"}')
      },
    ],
  ])('%s keeps everything, and is told', async (what, damage) => {
    const place = what.includes('record') ? /\/resolved\// : /\/default_one/
    const unused = await store.add('unused')
    await store.pin(ONE, await store.add('other'))
    await damage()
    const { removed, problems, kept } = await store.collect()
    expect(removed).toEqual([])
    expect(store.has(unused)).toBe(true)
    expect(problems.map(({ reason }) => reason)).toEqual(['StateCorrupt'])
    expect(problems[0]?.path).toMatch(place)
    expect(kept.map(({ why }) => why)).toContain('perhaps needed by what could not be read')
  })

  test('leftovers go all the same: nobody can need them', async () => {
    await store.pin(ONE, await store.add('pin'))
    await writeFile(appPaths(store.paths, ONE).status, '{')
    await mkdir(join(store.paths.blobs, 'ingest'), { recursive: true })
    await writeFile(join(store.paths.blobs, 'ingest', 'stray'), 'half')
    expect((await store.collect()).removed.map(({ kind }) => kind)).toEqual(['leftover'])
  })
})

describe('leftovers', () => {
  test('of dead processes go, those of living ones stay', async () => {
    const image = await store.add('made')
    const key = treeKey(image)
    const staging = join(store.paths.rootfs, `.${key}.staging-a1B2c3`)
    const ingest = join(store.paths.blobs, 'ingest')
    await mkdir(join(staging, 'rootfs'), { recursive: true })
    await mkdir(ingest, { recursive: true })
    const mine = join(ingest, await ingestName())
    await writeFile(mine, 'half')
    await writeFile(join(ingest, 'stray'), 'half')
    const lease = await new Leases(store.paths.leases).take([key], SIGNAL)
    await store.collect()
    expect([existsSync(staging), existsSync(mine), existsSync(join(ingest, 'stray'))]).toEqual([
      true,
      true,
      false,
    ])
    await lease.release()
    await store.collect()
    expect([existsSync(staging), existsSync(mine)]).toEqual([false, true])
  })

  test('of a collector that was killed are finished', async () => {
    const image = await store.add('half-gone')
    await rename(store.treeDir(image), join(store.paths.rootfs, '.removed-0123456789ab'))
    await store.pin(ONE, await store.add('pin'))
    await store.collect()
    expect((await store.names()).filter((name) => name.includes('.removed-'))).toEqual([])
  })

  test('a link in the place of a tree is taken away, not followed', async () => {
    const precious = join(store.paths.root, '..', 'precious')
    await mkdir(precious)
    await writeFile(join(precious, 'f'), 'x')
    await mkdir(store.paths.rootfs, { recursive: true })
    await symlink(precious, join(store.paths.rootfs, `${'a'.repeat(32)}-v1`))
    await store.collect()
    expect(existsSync(join(precious, 'f'))).toBe(true)
    expect(await readdir(store.paths.rootfs)).toEqual([])
  })

  test('files that Fairlead did not make are left alone', async () => {
    await mkdir(store.paths.rootfs, { recursive: true })
    await writeFile(join(store.paths.rootfs, 'notes.txt'), 'mine')
    await store.collect()
    expect(existsSync(join(store.paths.rootfs, 'notes.txt'))).toBe(true)
  })
})

describe('unpacked layers', () => {
  async function unpacked(image: ResolvedImage): Promise<readonly string[]> {
    const dirs = image.manifest.layers.map(({ digest }) =>
      join(store.paths.layers, `${digest.slice(7)}-${'0123abcd'.repeat(4)}`),
    )
    for (const dir of dirs) {
      await mkdir(join(dir, 'content'), { recursive: true })
      await writeFile(join(dir, 'content', 'f'), Buffer.alloc(1 << 20, 1))
    }
    return dirs
  }

  test('go with the last image that has them', async () => {
    const [used, unused] = [await store.add('used'), await store.add('unused')]
    await store.pin(ONE, used)
    const [shared = '', own = ''] = await unpacked(unused)
    const { removed } = await store.collect()
    expect([existsSync(shared), existsSync(own)]).toEqual([true, false])
    expect(removed.find(({ kind }) => kind === 'layer')?.bytes).toBeGreaterThanOrEqual(1 << 20)
  })

  test('count as freed when the tree that links to their files goes as well', async () => {
    const unused = await store.add('unused')
    const [, own = ''] = await unpacked(unused)
    await link(join(own, 'content', 'f'), join(store.treeDir(unused), 'rootfs', 'f'))
    expect((await store.collect({ dryRun: true })).freedBytes).toBeGreaterThanOrEqual(2 << 20)
  })

  test('that somebody unpacks right now stay, whole or not', async () => {
    const image = await store.add('unused')
    const [, own = ''] = await unpacked(image)
    const staging = join(store.paths.layers, `.${own.split('/').at(-1) ?? ''}.staging-a1B2c3`)
    await mkdir(staging)
    const lease = await new Leases(store.paths.leases).take(namesOf(image), SIGNAL)
    await store.collect()
    expect([existsSync(own), existsSync(staging)]).toEqual([true, true])
    await lease.release()
    await store.collect()
    expect([existsSync(own), existsSync(staging)]).toEqual([false, false])
  })
})

describe('what was found damaged', () => {
  test('goes although it is pinned, but not while it is in use', async () => {
    const [pinned, running] = [await store.add('pinned'), await store.add('running')]
    await store.pin(ONE, pinned, running)
    await store.instance(ONE, running)
    const damaged = new Set([store.treeDir(pinned), store.treeDir(running)])
    const { removed } = await store.collect({ damaged })
    expect(removed.map(({ name }) => name)).toEqual([treeKey(pinned)])
    expect(store.has(running)).toBe(true)
    expect(store.has(pinned)).toBe('record and blob')
  })
})
