/**
 * Whether the files of an unpacked layer still are what was unpacked: trees are made of links to them. Owner and mode are
 * looked at as well, since a file may have names in layers of which there is no tree that could be compared.
 */
import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import { crc32 } from 'node:zlib'
import { printable } from '../../../errors.ts'
import { toBuffer, toText } from '../../../image/bytes.ts'
import type { ContentRef, LayerEntry } from '../../../rootfs/types.ts'
import { sumsProblem } from '../dedupe/share-layer-files.ts'
import { readRecord } from '../stored-layer.ts'
import { modeOf } from '../unpack/owners.ts'
import { readProblem } from './verify-blobs.ts'

const MODE_BITS = 0o7777

export interface LayerDamage {
  /** The first of it, as a sentence. */
  readonly problem: string
  /** Of its files that are not as they were, as in `inodeOf`: trees may have the same. */
  readonly inodes: ReadonlySet<string>
}

/** As `find -printf %D:%i` has it. */
export function inodeOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`
}

/** What is wrong with the layer in `dir`; undefined when nothing is. Throws what `onBytes` throws. */
export async function layerDamage(
  dir: string,
  onBytes: (bytes: number) => void,
): Promise<LayerDamage | undefined> {
  const record = await readRecord(dir).catch(readProblem)
  if (record === undefined) return { problem: 'its index is damaged', inodes: new Set() }
  if (typeof record === 'string') return { problem: record, inodes: new Set() }
  const inodes = new Set<string>()
  let problem = await sumsProblem(dir).catch(readProblem)
  // All of them: a tree that can't be compared is judged by the files that it shares.
  for (const entry of record.entries) {
    const found = await entryProblem(dir, entry, inodes, onBytes)
    problem ??= found
  }
  return problem === undefined ? undefined : { problem, inodes }
}

async function entryProblem(
  dir: string,
  entry: LayerEntry,
  inodes: Set<string>,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const { content } = entry
  if (content?.file === undefined || content.crc32 === undefined) return undefined
  const path = Buffer.concat([Buffer.from(`${join(dir, 'content')}/`), toBuffer(content.file)])
  let inode: string | undefined
  try {
    const stats = await lstat(path)
    inode = inodeOf(stats)
    // A FIFO would hold us up.
    if (!stats.isFile()) return `/${printable(toText(entry.path), 500)} is no plain file any more`
    const differs = attributeThatDiffers(entry, stats) ?? (await contentProblem(path, content, onBytes))
    if (differs === undefined) return undefined
    inodes.add(inode)
    return `/${printable(toText(entry.path), 500)} has ${differs} than was unpacked`
  } catch (error) {
    const problem = readProblem(error)
    // It is there, but its disk does not give it.
    if (inode !== undefined) inodes.add(inode)
    return problem
  }
}

/** In words; undefined when none does. */
function attributeThatDiffers(
  entry: LayerEntry,
  { mode, uid, gid }: { readonly mode: number; readonly uid: number; readonly gid: number },
): string | undefined {
  // Who keeps a store without being root has no owners in it.
  const policy = { keepIds: geteuid?.() === 0 }
  if ((mode & MODE_BITS) !== modeOf(entry, policy)) return 'another mode'
  return policy.keepIds && (uid !== entry.uid || gid !== entry.gid) ? 'another owner' : undefined
}

async function contentProblem(
  path: Buffer,
  content: ContentRef,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  return (await isSound(path, content, onBytes)) ? undefined : 'other content'
}

async function isSound(
  path: Buffer,
  { size, crc32: expected }: ContentRef,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  let [sum, read] = [0, 0]
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    sum = crc32(chunk, sum)
    read += chunk.length
    onBytes(chunk.length)
  }
  return read === size && sum === expected
}
