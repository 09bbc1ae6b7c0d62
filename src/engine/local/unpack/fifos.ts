/** FIFOs: node:fs can't make them, coreutils' mkfifo can. They wait in the scratch folder for their places. */
import { closeSync, constants, futimesSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import type { Inode } from '../../../rootfs/types.ts'
import { applyOwner, type OwnerPolicy } from './owners.ts'
import type { Scratch } from './scratch.ts'
import { runTool } from './tools.ts'

/** One FIFO for each inode, with owner, mode and time. */
export async function makeFifos(
  inodes: readonly Inode[],
  scratch: Scratch,
  policy: OwnerPolicy,
): Promise<ReadonlyMap<Inode, string>> {
  const names = new Map([...new Set(inodes)].map((inode): [Inode, string] => [inode, scratch.freeName()]))
  if (names.size === 0) return new Map()
  const input = Buffer.from([...names.values()].join('\0'))
  await runTool({
    command: ['xargs', '-0', 'mkfifo', '-m', '600', '--'],
    debianPackage: 'coreutils',
    cwd: scratch.dir,
    input,
  })
  const paths = new Map<Inode, string>()
  for (const [inode, name] of names) {
    const path = join(scratch.dir, name)
    // O_RDWR never waits for another end (fifo(7)); the attributes are then set on exactly this inode.
    const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
    try {
      applyOwner(fd, inode, policy)
      if (isPlainTime(inode.mtime)) futimesSync(fd, inode.mtime.seconds, inode.mtime.seconds)
    } finally {
      closeSync(fd)
    }
    paths.set(inode, path)
  }
  return paths
}
