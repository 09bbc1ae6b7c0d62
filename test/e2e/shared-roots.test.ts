/**
 * Two apps' images share a layer, so their trees share its files. Whatever one of them does to its own root, as root and
 * with every way to write that there is, no stored file changes and the other app sees what its image says.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { dir, file, hardlink, layer } from '../support/layer.ts'
import { writeLayout } from '../support/layout.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'

const SHARED = layer([
  dir('shared'),
  ...[
    'written',
    'appended',
    'cut',
    'chmod',
    'chown',
    'touched',
    'renamed',
    'removed',
    'linked',
    'mapped',
    'hooked',
  ].map((name) => file(`shared/${name}`, 'from the image\n', { mode: 0o644, mtime: 1_600_000_000 })),
  file('shared/exec', '#!/bin/sh\ntrue\n', { mode: 0o755, mtime: 1_600_000_000 }),
  dir('data'),
  file('data/seed', 'seed\n', { mode: 0o666, mtime: 1_600_000_000 }),
  hardlink('data/twin', 'data/seed'),
])

const VANDALISE = [
  'cd /shared',
  'echo mine >written; echo mine >>appended; : >cut; echo mine >exec',
  'b=/bin/busybox',
  '$b chmod 4777 chmod; $b chown 2000:2000 chown; $b touch touched',
  '$b mv renamed other; $b rm removed; $b ln linked second; echo mine >second',
  'echo XXXX | $b dd of=mapped bs=1 seek=2 conv=notrunc 2>/dev/null',
  'echo mine >/data/seed; $b chmod 600 /data/twin',
  'echo done >/data/done',
  WAIT_FOREVER,
].join('\n')

/** A second volume, one of whose files is the same as one outside. */
const TWICE = layer([
  dir('other'),
  hardlink('other/written', 'shared/written'),
  dir('other/deep'),
  file('other/deep/own', 'own\n', { mtime: 1_600_000_000 }),
])

/** The one program that it runs by is spared. */
const ERASE = [
  'b=/bin/busybox',
  'for f in $($b find / /data /other -xdev -type f); do',
  '  $b chmod 7777 "$f"; [ "$f" = $b ] || : >"$f"',
  'done 2>/dev/null',
  'echo done >/data/done',
  WAIT_FOREVER,
].join('\n')

/** Everything of every stored file but its number of links and the time of its last change of these. */
function fingerprint(state: string): readonly string[] {
  const layers = path.join(state, 'layers')
  const files = execFileSync('find', ['layers', '-type', 'f'], { cwd: state, encoding: 'utf8' })
    .trim()
    .split('\n')
  expect(readdirSync(layers).length).toBeGreaterThan(1)
  return files
    .map((name) => {
      const { mode, uid, gid, size, mtimeMs, ino } = lstatSync(path.join(state, name))
      const hash = createHash('sha256')
        .update(readFileSync(path.join(state, name)))
        .digest('hex')
      return [name, mode.toString(8), uid, gid, size, mtimeMs, ino, hash].join(' ')
    })
    .sort()
}

/** The folder of the merged tree that has this file. */
function treesWith(state: string, file: string): readonly string[] {
  return readdirSync(path.join(state, 'rootfs'))
    .map((tree) => path.join(state, 'rootfs', tree, 'rootfs', file))
    .filter((found) => existsSync(found))
}

describe.each(['runc', 'crun'] as const)('under %s', (runtime) => {
  test('an app that writes to all of its root changes no stored file, and no other app', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const layout = path.join(sandbox.dir, 'layout')
    await writeLayout(layout, [
      { tag: 'calm', image: busyboxImage({ layers: [SHARED], config: { Volumes: ['/data'] } }) },
      {
        tag: 'vandal',
        image: busyboxImage({
          layers: [SHARED, layer([file('own', 'x')])],
          run: VANDALISE,
          config: { Volumes: ['/data'] },
        }),
      },
    ])
    await sandbox.mustUp([app('calm', `oci:${layout}:calm`)])
    const before = fingerprint(sandbox.state)
    const hooks = [{ stage: 'StartContainer', path: '/bin/sh', args: ['-c', 'echo hook >/shared/hooked'] }]
    await sandbox.mustUp([app('vandal', `oci:${layout}:vandal`, { hooks })])
    const data = await sandbox.volumeDir('vandal', '/data')
    await eventually('it has written everywhere', () => existsSync(path.join(data, 'done')))
    await sandbox.ok(['exec', 'vandal', '--', 'sh', '-c', 'echo exec >/shared/hooked; rm /shared/exec'])

    const trees = treesWith(sandbox.state, 'shared/written')
    expect(trees).toHaveLength(2)
    expect(new Set(trees.map((tree) => lstatSync(tree).ino)).size).toBe(1)
    const after = fingerprint(sandbox.state)
    expect(after).toEqual(expect.arrayContaining([...before]))
    // The second image brought its own layer and nothing else.
    expect(
      after
        .filter((line) => !before.includes(line))
        .map((line) => path.basename(line.split(' ')[0] ?? ''))
        .sort(),
    ).toEqual(['index', 'own', 'sums'])
    const seen = await sandbox.ok(['exec', 'calm', '--', 'sh', '-c', 'cat /shared/*; cat /data/seed'])
    expect(seen).toBe(`${'from the image\n'.repeat(4)}#!/bin/sh\ntrue\n${'from the image\n'.repeat(7)}seed\n`)
  })

  test('a root is an overlay over its tree, and the tree cannot be reached from the container', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const layout = path.join(sandbox.dir, 'layout')
    await writeLayout(layout, [{ tag: 'calm', image: busyboxImage({ layers: [SHARED] }) }])
    await sandbox.mustUp([app('calm', `oci:${layout}:calm`)])
    const mounts = await sandbox.ok(['exec', 'calm', '--', 'cat', '/proc/self/mounts'])
    expect(mounts.split('\n')[0]).toMatch(/^overlay \/ overlay /)
    expect(readlinkSync('/proc/self/ns/mnt')).not.toBe(
      (await sandbox.ok(['exec', 'calm', '--', '/bin/busybox', 'readlink', '/proc/self/ns/mnt'])).trim(),
    )
    await expect(
      sandbox.ok(['exec', 'calm', '--', 'ls', path.join(sandbox.state, 'layers')]),
    ).rejects.toThrow('No such file')
  })

  test('an app that empties every file it can reach, of root and volumes, damages no image', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const layout = path.join(sandbox.dir, 'layout')
    const config = { Volumes: ['/data', '/other'] }
    await writeLayout(layout, [
      { tag: 'same', image: busyboxImage({ layers: [SHARED, TWICE], config }) },
      { tag: 'eraser', image: busyboxImage({ layers: [SHARED, TWICE], config, run: ERASE }) },
    ])
    await sandbox.mustUp([app('eraser', `oci:${layout}:eraser`)])
    const data = await sandbox.volumeDir('eraser', '/data')
    await eventually('it has erased all', () => existsSync(path.join(data, 'done')))
    const other = await sandbox.volumeDir('eraser', '/other')
    for (const file of [path.join(data, 'seed'), path.join(other, 'written'), path.join(other, 'deep/own')])
      expect([lstatSync(file).size, lstatSync(file).mode & 0o7777]).toEqual([0, 0o7777])

    await sandbox.ok(['gc', '--verify'])
    await sandbox.mustUp([app('second', `oci:${layout}:same`)])
    const read = 'cat /shared/written /shared/mapped /data/seed /data/twin /other/written /other/deep/own'
    expect(await sandbox.ok(['exec', 'second', '--', 'sh', '-c', read])).toBe(
      `${'from the image\n'.repeat(2)}${'seed\n'.repeat(2)}from the image\nown\n`,
    )
  })
})
