/** What a folder takes on disk: blocks, not lengths, so that holes and hard links are counted as they are. */
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../engine/local/disk.ts'

const BLOCK_BYTES = 512

/** Bytes of everything below `dir`, symlinks not followed; what vanishes meanwhile is not counted. */
export async function folderBytes(dir: string): Promise<number> {
  const counted = new Set<string>()
  let bytes = 0
  const open = [dir]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    try {
      const stats = await lstat(path)
      const inode = `${stats.dev}:${stats.ino}`
      if (!counted.has(inode)) bytes += stats.blocks * BLOCK_BYTES
      if (stats.nlink > 1 && !stats.isDirectory()) counted.add(inode)
      if (stats.isDirectory())
        for await (const entry of await opendir(path)) open.push(join(path, entry.name))
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
  return bytes
}
