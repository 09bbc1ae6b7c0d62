import { truncateSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CollectReport } from '../../src/engine/local/gc/collect.ts'
import { appPaths } from '../../src/engine/local/paths.ts'
import { damageLines } from '../../src/cli/gc-view.ts'
import type { VerifyReport } from '../../src/engine/local/verify/verify-store.ts'
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

  test('names everything on a narrow terminal, each name and reason whole', async () => {
    const { stdout } = await desk.run(['gc', '--dry-run', '--verbose'], { outputIsTerminal: true })
    expect(stdout).toMatch(/^kept {2}blob\n {2}sha256:[0-9a-f]{64}\n {2}pinned by default\/one\n/m)
    expect(stdout).toMatch(/^would go {2}blob {2}[\d.]+ KiB\n {2}sha256:[0-9a-f]{64}\n/m)
    expect(stdout).not.toContain('…')
  })

  test('with --verify wraps what it tells, path by path', () => {
    const unverified = [{ name: 'abc-v2', why: `${'its layers are not stored any more '.repeat(3)}at all` }]
    const changes = [{ path: '/a', change: 'modified', fields: ['mtime'], type: 'file' }] as const
    const damaged = [
      { kind: 'tree', path: '/s/t', problem: 'x '.repeat(50).trim(), changes, inUse: false, usedBy: [] },
    ] as unknown as VerifyReport['damaged']
    const text = damageLines({ checked: { blobs: 1, layers: 0, trees: 1 }, damaged, unverified }, false, 80)
    expect(text).toMatch(
      /^damaged tree \/s\/t: [x ]+\n {2}[x ]+\n {2}\/a: mtime\nnot checked: tree abc-v2: .+\n {2}\S/,
    )
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
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
      'and the next start of a container makes a fresh one; to have that now: "fairlead restart default/one"\n',
    )
  })

  test('with --verify says of a tree in use what a fresh one needs when a layer is missing', async () => {
    const image = await store.add('running')
    await store.instance(ONE, image)
    await writeFile(join(store.treeDir(image), 'rootfs', 'running'), 'changed')
    await desk.run(['gc', '--verify'])
    await store.blobs.remove(image.manifest.layers[0]?.digest ?? image.digest)
    const needs =
      '; for that its registry or layout must be reachable and still have the layers that are damaged or missing here\n'
    const dry = await desk.run(['gc', '--verify', '--dry-run'])
    expect(dry.stdout).toContain(`would make a fresh one${needs}`)
    const { stdout } = await desk.run(['gc', '--verify'])
    expect(stdout).toContain(`"fairlead restart default/one"${needs}`)
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
