/** The kernel's table of mounts, read as bytes. */
import { closeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openDirectory } from '../../src/host/open-at.ts'
import { parseMountinfo } from '../../src/host/mountinfo.ts'
import { isMountPoint, mountOf } from '../../src/preflight/mountinfo.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'

const TABLE = [
  '36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue',
  '37 36 0:30 / /mnt/with\\040space rw,nosuid,noexec - tmpfs tmpfs rw',
  // noexec of the file system, behind the dash, and of an optional field, is another thing.
  '38 36 0:31 / /mnt/noexec\\134x rw shared:noexec - tmpfs noexec rw,noexec',
  '',
].join('\n')

test('flags and places by id', () => {
  expect([...parseMountinfo(TABLE)]).toEqual([
    ['36', { mountPoint: '/mnt/parent', noexec: false }],
    ['37', { mountPoint: '/mnt/with space', noexec: true }],
    ['38', { mountPoint: '/mnt/noexec\\x', noexec: false }],
  ])
})

test('a mount point is known from a folder', async () => {
  const [proc, folder] = [openDirectory('/proc'), openDirectory(await temporaryFolder())]
  expect([isMountPoint(proc), isMountPoint(folder)]).toEqual([true, false])
  expect(mountOf(proc)?.mountPoint).toBe('/proc')
  for (const fd of [proc, folder]) closeSync(fd)
})
