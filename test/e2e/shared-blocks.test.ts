/** On file systems that can, files with one content and different attributes share their blocks, and nothing else of them. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bed, foundIn } from '../engine/local/layer-bed.ts'
import { foundXattrs, unpackTars } from '../engine/local/unpack/unpacked.ts'
import { file, layer } from '../support/layer.ts'

const DISK_BYTES = 400_000_000
/** More than one request may share. */
const BIG = Buffer.alloc(20_000_000)
for (let at = 0; at < BIG.length; at += 8) BIG.writeDoubleLE(at, at)

function mounted(mkfs: readonly [string, ...string[]]): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'fairlead-blocks-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const disk = path.join(dir, 'disk')
  writeFileSync(disk, '')
  truncateSync(disk, DISK_BYTES)
  const [program, ...options] = mkfs
  execFileSync(program, [...options, disk], { stdio: 'ignore' })
  const folder = path.join(dir, 'mounted')
  execFileSync('mkdir', [folder])
  execFileSync('mount', ['-o', 'loop', disk, folder])
  onTestFinished(() => void execFileSync('umount', [folder]))
  return folder
}

/** Whether all blocks of the file are others' as well, by what the file system says. */
function isShared(name: string): boolean {
  const extents = execFileSync('filefrag', ['-v', name], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => /^ +\d+:/.test(line))
  expect(extents.length).toBeGreaterThan(0)
  return extents.every((line) => line.includes('shared'))
}

describe.each<[string, readonly [string, ...string[]], boolean]>([
  ['btrfs', ['mkfs.btrfs', '-q'], true],
  ['XFS', ['mkfs.xfs', '-q'], true],
  ['XFS without reflinks', ['mkfs.xfs', '-q', '-m', 'reflink=0'], false],
  ['ext4', ['mkfs.ext4', '-q'], false],
])('on %s', (_name, mkfs, canShare) => {
  test(`a file that differs in its attributes alone ${canShare ? 'takes no blocks' : 'is stored as it is'}`, async () => {
    const folder = mounted(mkfs)
    const store = bed(folder)
    await store.unpack('one', [
      layer([file('big', BIG, { mtime: 1 }), file('same', BIG.subarray(0, 5000), { mtime: 3 })]),
    ])
    const attributes = { mode: 0o4755, uid: 7, gid: 8, mtime: '2.000000001', xattrs: { 'user.a': 'b' } }
    const rebuilt = layer([
      file('big', BIG, attributes),
      file('twin', BIG, { mode: 0o600, mtime: 2 }),
      file('same', BIG.subarray(0, 5000), { mtime: 3 }),
      file('other', Buffer.from(BIG).fill('x', 19_000_000), { mtime: 1 }),
    ])
    await store.unpack('two', [rebuilt])
    await unpackTars(path.join(folder, 'alone'), [rebuilt])
    const [two, alone] = [path.join(folder, 'two'), path.join(folder, 'alone')]
    expect(foundIn(two)).toEqual(foundIn(alone))
    expect(foundXattrs(path.join(two, 'rootfs'))).toEqual(['big user.a=0x62'])
    const root = path.join(two, 'rootfs')
    for (const name of ['big', 'twin']) {
      expect(readFileSync(path.join(root, name)).equals(BIG)).toBe(true)
      expect(isShared(path.join(root, name))).toBe(canShare)
      expect(store.ino('two', name)).not.toBe(store.ino('one', 'big'))
    }
    expect(isShared(path.join(root, 'other'))).toBe(false)
    expect(store.ino('two', 'same')).toBe(store.ino('one', 'same'))
  })
})
