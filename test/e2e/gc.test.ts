/** The collector beside containers that run, and the alarm for digests that a real registry has lost. */
import { existsSync, readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AppStatus } from '../../src/crd/status.ts'
import type { CollectReport } from '../../src/engine/local/gc/collect.ts'
import { openLocal } from '../../src/engine/local/open.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { dir, file } from '../support/layer.ts'
import { pushImage } from '../support/layout.ts'
import { startRegistry } from '../support/real-registry.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'

let registry: Awaited<ReturnType<typeof startRegistry>>

beforeAll(async () => {
  registry = await startRegistry()
})
afterAll(async () => {
  await registry.stop()
})

function saying(word: string) {
  return busyboxImage({
    parts: [dir('say'), file('say/word', word)],
    run: WAIT_FOREVER,
    config: { Env: ['PATH=/bin'] },
  })
}

async function word(sandbox: Sandbox, name: string): Promise<string> {
  return sandbox.ok(['exec', name, '--', 'cat', '/say/word'])
}

async function gc(sandbox: Sandbox, ...options: readonly string[]): Promise<CollectReport> {
  return JSON.parse(await sandbox.ok(['gc', '-o', 'json', ...options])) as CollectReport
}

function trees(sandbox: Sandbox): readonly string[] {
  return readdirSync(path.join(sandbox.state, 'rootfs')).filter((name) => !name.startsWith('.'))
}

function gone(status: AppStatus) {
  return status.conditions?.find(({ type }) => type === 'PinnedImageGone')
}

describe('fairlead gc', () => {
  test('keeps what runs and what a rollback needs, takes the rest, and the rollback needs no registry', async () => {
    await using sandbox = await Sandbox.create()
    const own = await startRegistry()
    const image = `${own.host}/gc/app:v1`
    for (const version of ['one', 'two']) {
      await pushImage(own.host, 'gc/app', 'v1', saying(version))
      if (version === 'one') await sandbox.mustUp([app('kept', image)])
      else await sandbox.ok(['rebuild', 'kept'])
    }
    await pushImage(own.host, 'gc/other', 'v1', saying('other'))
    await sandbox.mustUp([app('other', `${own.host}/gc/other:v1`)])
    await sandbox.ok(['down', 'other'])
    await own.stop()
    expect(trees(sandbox)).toHaveLength(3)
    const report = await gc(sandbox)
    expect(report.removed.map(({ kind }) => kind)).toContain('tree')
    expect(report.freedBytes).toBeGreaterThan(0)
    expect(trees(sandbox)).toHaveLength(2)
    expect(await word(sandbox, 'kept')).toBe('two')
    await sandbox.ok(['rollback', 'kept'])
    expect(await word(sandbox, 'kept')).toBe('one')
    expect(await gc(sandbox, '--verify')).toMatchObject({
      removed: [],
      verified: { damaged: [], unverified: [] },
    })
  })

  test('takes no tree from a container whose app and record are gone', async () => {
    await using sandbox = await Sandbox.create()
    await pushImage(registry.host, 'gc/orphan', 'v1', saying('orphan'))
    await sandbox.mustUp([app('orphan', `${registry.host}/gc/orphan:v1`)])
    await sandbox.stopController('SIGKILL')
    const { paths, instances } = openLocal({ stateDir: sandbox.state })
    const [id = ''] = readdirSync(paths.instances).filter((name) => !name.endsWith('.lock'))
    const status = path.join(paths.apps, 'default_orphan', 'status.json')
    const [told, record] = [await readFile(status, 'utf8'), await instances.read(id)]
    await writeFile(status, '{"conditions":[]}')
    await gc(sandbox)
    expect(trees(sandbox)).toHaveLength(1)
    expect(existsSync(path.join(paths.rootfs, trees(sandbox)[0] ?? '', 'rootfs', 'say', 'word'))).toBe(true)
    expect(record?.digest).toBeDefined()
    await writeFile(status, told)
  })

  test('a damaged image is told while it is in use, and goes when it is not: a rollback brings it anew', async () => {
    await using sandbox = await Sandbox.create()
    const image = `${registry.host}/gc/rotten:v1`
    const damage = (tree = '') =>
      writeFile(path.join(sandbox.state, 'rootfs', tree, 'rootfs/say/word'), 'stale')
    await pushImage(registry.host, 'gc/rotten', 'v1', saying('first'))
    await sandbox.mustUp([app('rotten', image)])
    const [first] = trees(sandbox)
    await pushImage(registry.host, 'gc/rotten', 'v1', saying('second'))
    await sandbox.ok(['rebuild', 'rotten'])
    const second = trees(sandbox).find((tree) => tree !== first)
    await damage(first)
    await damage(second)
    const { code, stdout } = await sandbox.cli(['gc', '--verify'])
    expect(code).toBe(1)
    expect(stdout.match(/^ {2}\/say\/word: /gm)).toHaveLength(2)
    expect(stdout.match(/it is in use and stays/g)).toHaveLength(1)
    expect(trees(sandbox)).toEqual([second])
    await sandbox.ok(['rollback', 'rotten'])
    expect(await word(sandbox, 'rotten')).toBe('first')
  })

  test('a damaged tree in use stays for who has it, and who starts next gets a fresh one, by the same digest', async () => {
    await using sandbox = await Sandbox.create()
    const image = `${registry.host}/gc/healed:v1`
    await pushImage(registry.host, 'gc/healed', 'v1', saying('sound'))
    await sandbox.mustUp([app('healed', image), app('other', image)])
    const before = await sandbox.status('healed')
    const [tree = ''] = trees(sandbox)
    await writeFile(path.join(sandbox.state, 'rootfs', tree, 'rootfs/say/word'), 'stale')
    await pushImage(registry.host, 'gc/healed', 'v1', saying('another'))
    const { code, stdout } = await sandbox.cli(['gc', '--verify'])
    expect(code).toBe(1)
    expect(stdout).toContain('"fairlead restart default/healed", "fairlead restart default/other"')
    // The controller may have made the fresh one already, for whoever starts next.
    expect(trees(sandbox).filter((name) => !name.startsWith(`${tree}.replaced-`))).toEqual([tree])
    await sandbox.ok(['restart', 'default/healed'])
    expect(await word(sandbox, 'healed')).toBe('sound')
    expect(await word(sandbox, 'other')).toBe('stale')
    expect((await sandbox.status('healed')).image?.digest).toBe(before.image?.digest)
    // Not even now does the collector take the damaged one from the container that has it.
    const replaced = trees(sandbox).find((name) => name.startsWith(`${tree}.replaced-`)) ?? 'missing'
    expect(await gc(sandbox, '--verify')).toMatchObject({ verified: { damaged: [] } })
    expect(trees(sandbox)).toEqual([tree, replaced])
    expect(await word(sandbox, 'other')).toBe('stale')
    await sandbox.ok(['restart', 'default/other'])
    expect(await word(sandbox, 'other')).toBe('sound')
    const { removed } = await gc(sandbox)
    // What the tag names by now may have been read meanwhile, to tell what it would change.
    const others = removed.filter(({ kind }) => kind !== 'record')
    expect(others.map(({ kind, name }) => [kind, name])).toEqual([['leftover', replaced]])
    expect(trees(sandbox)).toEqual([tree])
    expect(await word(sandbox, 'healed')).toBe('sound')
  })
})

describe('a digest that the registry has lost', () => {
  test('is told while what runs goes on, and no more once it is back', async () => {
    await using sandbox = await Sandbox.create({ config: { goneCheckInterval: '300ms' } })
    const pushed = saying('here')
    await pushImage(registry.host, 'gone/app', 'v1', pushed)
    await sandbox.mustUp([app('gone', `${registry.host}/gone/app:v1`)])
    const before = await sandbox.status('gone')
    const digest = before.image?.digest ?? ''
    const answer = await fetch(`http://${registry.host}/v2/gone/app/manifests/${digest}`, {
      method: 'DELETE',
    })
    expect(answer.status).toBe(202)
    await eventually('it is told', async () => gone(await sandbox.status('gone')) !== undefined)
    const told = await sandbox.status('gone')
    expect(gone(told)?.message).toContain(`${registry.host} no longer has ${digest}`)
    expect(told.conditions?.find(({ type }) => type === 'Ready')).toEqual(
      before.conditions?.find(({ type }) => type === 'Ready'),
    )
    expect(told.workload).toMatchObject({ revision: before.workload?.revision, restarts: 0 })
    await pushImage(registry.host, 'gone/app', 'v1', pushed)
    await eventually('it is back', async () => gone(await sandbox.status('gone')) === undefined)
    expect((await sandbox.status('gone')).image).not.toHaveProperty('gone')
  })
})
