import { truncateSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CollectReport } from '../../src/engine/local/gc/collect.ts'
import { appPaths } from '../../src/engine/local/paths.ts'
import { AStore, ONE, smallImage } from '../engine/local/gc/a-store.ts'
import { Desk } from './run.ts'

const TWO = { namespace: 'default', name: 'two' }

let desk: Desk
let store: AStore
beforeEach(async () => {
  desk = new Desk()
  store = new AStore(desk.dir)
  await store.pin(ONE, await store.add('used'))
  await store.add('unused')
})
afterEach(() => desk[Symbol.dispose]())

describe('fairlead gc', () => {
  test('says what it would do, and does it', async () => {
    const dry = await desk.run(['gc', '--dry-run'])
    expect(dry.stdout).toMatch(
      /^would remove 1 blob, 1 record and 1 merged tree: [\d.]+ KiB to be freed; kept 2 blobs, 1 record and 1 merged tree\n$/,
    )
    expect((await desk.run(['gc'])).stdout).toMatch(
      /^removed 1 blob, 1 record and 1 merged tree: .* freed; kept/,
    )
    expect(await desk.run(['gc'])).toMatchObject({
      code: 0,
      stdout: 'nothing to remove; kept 2 blobs, 1 record and 1 merged tree\n',
      stderr: '',
    })
  })

  test('names everything when asked', async () => {
    const { stdout } = await desk.run(['gc', '--dry-run', '--verbose'])
    expect(stdout).toMatch(/^KIND +NAME +WHAT +SIZE +WHY\n/)
    expect(stdout).toContain('pinned by default/one')
    expect(stdout.split('\n').filter((line) => line.includes('would go'))).toHaveLength(3)
  })

  test('answers as JSON', async () => {
    const { stdout } = await desk.run(['gc', '-o', 'json'])
    const report = JSON.parse(stdout) as CollectReport
    expect(report).toMatchObject({ dryRun: false, problems: [] })
    expect(report.removed).toHaveLength(3)
    expect(report.kept).toHaveLength(4)
    expect(report).not.toHaveProperty('verified')
  })

  test('fails when state cannot be read, having removed nothing', async () => {
    await writeFile(appPaths(store.paths, ONE).status, '{')
    const { code, stdout, stderr } = await desk.run(['gc'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^nothing to remove; kept 3 blobs/)
    expect(stderr).toMatch(/^StateCorrupt: .*status\.json is not valid JSON/)
  })

  test('with --verify tells damage by path, takes it away and fails once', async () => {
    const [blob] = await store.blobs.list()
    if (blob === undefined) throw new Error('no blob')
    truncateSync(store.blobs.pathOf(blob), 3)
    const { code, stdout } = await desk.run(['gc', '--verify'])
    expect(code).toBe(1)
    expect(stdout).toContain(`damaged blob ${store.blobs.pathOf(blob)}: its 3 bytes have digest`)
    expect(stdout).toMatch(
      /checked 3 blobs, 0 unpacked layers and \d merged trees: \d damaged; not checked: \d\n/,
    )
    expect(await store.blobs.list()).not.toContain(blob)
  })

  test('with --verify says of a tree in use what heals it', async () => {
    const image = await store.add('running')
    await store.instance(ONE, image)
    await writeFile(join(store.treeDir(image), 'rootfs', 'running'), 'changed')
    const looked = await desk.run(['gc', '--verify', '--dry-run'])
    expect(looked.stdout).toContain(
      'without --dry-run the next start of a container would make a fresh one\n',
    )
    const { code, stdout } = await desk.run(['gc', '--verify'])
    expect(code).toBe(1)
    expect(stdout).toContain(
      'and the next start of a container makes a fresh one; to have that now: "fairlead restart default/one"',
    )
  })

  test('with --verify says how many trees were not checked, and that this is no damage', async () => {
    const tree = await store.add('bare')
    await store.pin(TWO, tree)
    await store.blobs.remove(tree.manifest.layers[1]?.digest ?? tree.digest)
    for (const name of ['used', 'unused'])
      await rm(store.treeDir(smallImage(name).image), { recursive: true })
    const { code, stdout } = await desk.run(['gc', '--verify'])
    expect({ code, lines: stdout.split('\n').slice(0, 2) }).toEqual({
      code: 0,
      lines: [
        expect.stringMatching(/^not checked: tree \w{32}-v\d+: layer .* is not in the store; it is pulled/),
        'checked 3 blobs, 0 unpacked layers and 0 merged trees: no damage; not checked: 1',
      ],
    })
  })

  test('needs root', async () => {
    expect((await desk.run(['gc'], { isRoot: false })).code).toBe(1)
  })
})
