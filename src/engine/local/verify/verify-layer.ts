/** Whether the files of an unpacked layer still have the content that was unpacked: trees are made of links to them. */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { printable } from '../../../errors.ts'
import { toBuffer, toText } from '../../../image/bytes.ts'
import type { ContentRef } from '../../../rootfs/types.ts'
import { decodeRecord } from '../stored-layer.ts'
import { readProblem } from './verify-blobs.ts'

/** What is wrong with the layer in `dir` as a sentence, the first of it; undefined when nothing is. */
export async function layerProblem(
  dir: string,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  try {
    const record = decodeRecord(await readFile(join(dir, 'index')))
    if (record === undefined) return 'its index is damaged'
    for (const { content, path } of record.entries) {
      if (content !== undefined && !(await isSound(join(dir, 'content'), content, onBytes)))
        return `/${printable(toText(path), 500)} has other content than was unpacked`
    }
    return undefined
  } catch (error) {
    return readProblem(error)
  }
}

async function isSound(
  contentDir: string,
  { file, size, crc32: expected }: ContentRef,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  if (file === undefined || expected === undefined) return true
  const path = Buffer.concat([Buffer.from(`${contentDir}/`), toBuffer(file)])
  let [sum, read] = [0, 0]
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    sum = crc32(chunk, sum)
    read += chunk.length
    onBytes(chunk.length)
  }
  return read === size && sum === expected
}
