/**
 * Whether the files of an unpacked layer still are what was unpacked: trees are made of links to them. Owner and mode are
 * looked at as well, since a file may have names in layers of which there is no tree that could be compared.
 */
import { createReadStream } from 'node:fs'
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import { crc32 } from 'node:zlib'
import { printable } from '../../../errors.ts'
import { toBuffer, toText } from '../../../image/bytes.ts'
import type { ContentRef, LayerEntry } from '../../../rootfs/types.ts'
import { decodeRecord } from '../stored-layer.ts'
import { modeOf } from '../unpack/owners.ts'
import { readProblem } from './verify-blobs.ts'

const MODE_BITS = 0o7777

/** What is wrong with the layer in `dir` as a sentence, the first of it; undefined when nothing is. */
export async function layerProblem(
  dir: string,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  try {
    const record = decodeRecord(await readFile(join(dir, 'index')))
    if (record === undefined) return 'its index is damaged'
    for (const entry of record.entries) {
      const differs = await difference(join(dir, 'content'), entry, onBytes)
      if (differs !== undefined)
        return `/${printable(toText(entry.path), 500)} has ${differs} than was unpacked`
    }
    return undefined
  } catch (error) {
    return readProblem(error)
  }
}

/** In words; undefined when there is none. */
async function difference(
  contentDir: string,
  entry: LayerEntry,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const { content } = entry
  if (content?.file === undefined || content.crc32 === undefined) return undefined
  const path = Buffer.concat([Buffer.from(`${contentDir}/`), toBuffer(content.file)])
  const { mode, uid, gid } = await lstat(path)
  // Who keeps a store without being root has no owners in it.
  const policy = { keepIds: geteuid?.() === 0 }
  if ((mode & MODE_BITS) !== modeOf(entry, policy)) return 'another mode'
  if (policy.keepIds && (uid !== entry.uid || gid !== entry.gid)) return 'another owner'
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
