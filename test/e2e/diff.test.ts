/**
 * What a container and its users change, told by `fairlead diff`: in the root of a running app, in its volumes, and in
 * a folder with everything that a file system can hold. Row 5: equal size and time hide nothing.
 */
import { chown, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { TreeChange } from '../../src/rootfs/diff.ts'
import { runToEnd } from '../engine/local/temporary.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { dir, file, hardlink, layer, symlink as linkPart } from '../support/layer.ts'
import { pushImage, writeLayout } from '../support/layout.ts'
import { startRegistry } from '../support/real-registry.ts'
import { expectDone, makeRichFolder } from '../support/rich-folder.ts'
import { app, Sandbox } from '../support/sandbox.ts'

const TIME = 1_600_000_000

const DATA = [
  dir('data', { mode: 0o2770, uid: 2000, gid: 2000 }),
  file('data/same', 'aaaa', { mtime: TIME }),
  linkPart('data/link', 'f1', { mtime: TIME }),
  file('data/gone', ''),
  file('data/one', 'shared', { xattrs: { 'user.note': 'kept' } }),
  hardlink('data/two', 'data/one'),
  // Equal in everything and no links of each other: storage that shares content must not make them so.
  file('data/twin 1', 'twin'),
  file('data/twin 2', 'twin'),
]

const IMAGE = busyboxImage({
  run: `echo started >/home/app/log; rm /etc/old; chmod 700 /etc/kept; echo bb >/etc/equal; ${WAIT_FOREVER}`,
  parts: [
    ...DATA,
    file('etc/old', 'x'),
    file('etc/kept', 'x'),
    file('etc/equal', 'aa\n'),
    file('etc/a', 'x'),
    hardlink('etc/b', 'etc/a'),
  ],
  layers: [layer([file('data/twin 3', 'twin')])],
  config: { Volumes: ['/data'] },
})

async function differences(sandbox: Sandbox, ...args: readonly string[]): Promise<readonly string[]> {
  const answer = JSON.parse(await sandbox.ok(['diff', ...args, '-o', 'json'])) as {
    readonly tree: readonly TreeChange[]
    readonly notes: readonly string[]
  }
  expect(answer.notes).toEqual([])
  return answer.tree.map(({ change, path: name, fields }) => [change, name, ...fields].join(' '))
}

async function running(sandbox: Sandbox): Promise<string> {
  const layout = path.join(sandbox.dir, 'layout')
  await writeLayout(layout, [{ tag: 'v1', image: IMAGE }])
  await sandbox.mustUp([app('web', `oci:${layout}:v1`)])
  return `oci:${layout}:v1`
}

/** Moves times back to what they were: only content tells. */
async function changeVolume(data: string): Promise<void> {
  await writeFile(path.join(data, 'same'), 'bbbb')
  await utimes(path.join(data, 'same'), TIME, TIME)
  await rm(path.join(data, 'link'))
  await symlink('f2', path.join(data, 'link'))
  await expectDone(['touch', '--no-dereference', '-d', `@${TIME}`, path.join(data, 'link')])
  await rm(path.join(data, 'gone'))
  await expectDone(['setfattr', '-n', 'user.note', '-v', 'new', path.join(data, 'one')])
  await writeFile(path.join(data, 'new'), '')
}

describe.each(['runc', 'crun'] as const)('of a running app under %s', (runtime) => {
  test('the root shows what the container changed, and nothing that was mounted over it', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const image = await running(sandbox)
    const expected = [
      'modified /etc/equal content mtime',
      'modified /etc/kept mode',
      'removed /etc/old',
      'added /home/app/log',
    ]
    expect(await differences(sandbox, 'app://web')).toEqual(expected)
    expect(await differences(sandbox, image, 'app://default/web')).toEqual(expected)
    const leftOut = 'note: only files are compared; the configuration of the image is left out\n'
    expect((await sandbox.cli(['diff', image, 'app://web'])).stderr).toBe(leftOut)
    expect((await sandbox.cli(['diff', 'app://web'])).stderr).toBe('')
    await sandbox.ok(['down', 'web'])
    const { code, stderr } = await sandbox.cli(['diff', image, 'app://web'])
    expect([code, stderr]).toEqual([
      1,
      "NotFound: web has no running container; 'fairlead status web' says why\n",
    ])
  })
})

test('an app is compared with its image while the registry is down', async () => {
  await using sandbox = await Sandbox.create()
  const registry = await startRegistry()
  try {
    await pushImage(registry.host, 'down/app', 'v1', IMAGE)
    await sandbox.mustUp([app('web', `${registry.host}/down/app:v1`)])
  } finally {
    await registry.stop()
  }
  expect(await differences(sandbox, 'app://web')).toContain('added /home/app/log')
  expect(await differences(sandbox, 'volume://web:/data')).toEqual([])
})

test('a volume is as the image has it when it was seeded, and every change since is told', async () => {
  await using sandbox = await Sandbox.create()
  const image = await running(sandbox)
  expect(await differences(sandbox, image, 'volume://web:/data')).toEqual([])
  expect(await differences(sandbox, 'volume://web:/data')).toEqual([])
  const data = await sandbox.volumeDir('web', '/data')
  await changeVolume(data)
  await chown(data, 5, 2000)
  const expected = [
    'modified /data owner',
    'removed /data/gone',
    // A name in a setgid folder gets its group.
    'modified /data/link owner target',
    'added /data/new',
    'modified /data/one xattrs',
    'modified /data/same content',
    'modified /data/two xattrs',
  ]
  expect(await differences(sandbox, image, 'volume://web:/data')).toEqual(expected)
  const { code, stdout } = await sandbox.cli(['diff', 'volume://web:/data', '--exit-code'])
  expect(code).toBe(1)
  expect(stdout).toContain('~ /data (owner 2000:2000 → 5:2000)\n')
  expect(stdout).toContain('~ /data/one (xattrs)\n')
  expect(stdout).toMatch(/^5 changed, 1 removed, 1 added$/m)
  // The volume outlives the app, and can still be compared with an image that is named.
  await sandbox.ok(['down', 'web'])
  expect((await differences(sandbox, image, 'volume://web:/data')).length).toBe(expected.length)
})

test('a folder with everything that there is equals its copy, and each attribute counts', async () => {
  await using sandbox = await Sandbox.create()
  const [a, b] = ['a', 'b'].map((name) => path.join(sandbox.dir, name))
  if (a === undefined || b === undefined) throw new Error('two folders')
  await mkdir(a)
  await makeRichFolder(a)
  await expectDone(['mknod', path.join(a, 'zero'), 'c', '1', '5'])
  await expectDone(['mknod', path.join(a, 'whiteout'), 'c', '0', '0'])
  await expectDone(['setfattr', '-n', 'trusted.own', '-v', 'x', path.join(a, 'plain/file')])
  await expectDone(['cp', '-a', '--preserve=all', a, b])
  expect(await differences(sandbox, a, b)).toEqual([])
  for (const command of [
    ['chmod', '2750', path.join(b, 'setgid')],
    ['chown', '7:8', path.join(b, 'plugins/plugin')],
    ['setfattr', '-n', 'trusted.own', '-v', 'y', path.join(b, 'plain/file')],
    ['setcap', 'cap_setuid=ep', path.join(b, 'plain/capable')],
    ['rm', path.join(b, 'zero')],
    ['mknod', path.join(b, 'zero'), 'c', '1', '3'],
    ['touch', '--reference', path.join(a, 'zero'), path.join(b, 'zero')],
    ['cp', '-a', '--remove-destination', path.join(a, 'plain/file'), path.join(b, 'plain/same file')],
  ])
    await expectDone(command)
  expect(await differences(sandbox, a, b)).toEqual([
    'modified /plain/capable xattrs',
    'modified /plain/file xattrs',
    'modified /plain/same file links',
    'modified /plugins/plugin owner',
    'modified /setgid mode',
    'modified /zero device',
  ])
})

test('a folder ends where another file system begins', async () => {
  await using sandbox = await Sandbox.create()
  const [folder, other] = [path.join(sandbox.dir, 'folder'), path.join(sandbox.dir, 'empty')]
  await mkdir(path.join(folder, 'mounted'), { recursive: true })
  await mkdir(path.join(other, 'mounted'), { recursive: true })
  const script = `mount -t tmpfs tmpfs "$1/mounted" && touch "$1/mounted/inside" && chmod 755 "$1/mounted" && exec "$2" diff "$1" "$3" -o json`
  const { stdout } = await runToEnd(
    ['unshare', '-m', 'sh', '-c', script, 'sh', folder, path.resolve('bin/fairlead'), other],
    { env: sandbox.env },
  )
  expect(stdout).not.toContain('inside')
  expect(stdout).toContain('"tree"')
})

test('links of a folder are not followed, whatever a container puts there', async () => {
  await using sandbox = await Sandbox.create()
  await running(sandbox)
  const data = await sandbox.volumeDir('web', '/data')
  await writeFile(path.join(sandbox.dir, 'secret'), 'of the host')
  await symlink(sandbox.dir, path.join(data, 'trap'))
  const found = await differences(sandbox, 'volume://web:/data')
  expect(found).toEqual(['added /data/trap'])
})
