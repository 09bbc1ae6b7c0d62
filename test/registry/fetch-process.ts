/**
 * Fetches blobs into a store in a process of its own. Arguments: the store's folder, how many blobs, and in the
 * midst of which to stop for ever, if any. Says `fetched` after each, and `stuck`; whatever is wrong ends it with a stack.
 */
import { readFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { digestOf } from '../../src/image/digest.ts'
import type { ImageSource } from '../../src/image/source.ts'
import { BlobStore } from '../../src/registry/blob-store.ts'
import { verified } from '../../src/registry/verified-stream.ts'
import { blobNumber } from './numbered-blobs.ts'

const PIECES = 8
const [dir = '', count = '1', stuckIn] = process.argv.slice(2)
const store = new BlobStore(dir)
const signal = new AbortController().signal
const refuse = () => Promise.reject(new Error('not asked'))

async function* inPieces(content: Buffer, sticks: boolean): AsyncGenerator<Uint8Array> {
  const size = Math.ceil(content.length / PIECES)
  for (let at = 0; at < content.length; at += size) {
    await nextTurn()
    if (sticks && at >= content.length / 2) await stick()
    yield content.subarray(at, at + size)
  }
}

function stick(): Promise<never> {
  process.stdout.write('stuck\n')
  // Something has to keep the process alive.
  setInterval(() => undefined, 1000)
  return new Promise<never>(() => undefined)
}

for (let number = 0; number < Number(count); number++) {
  const content = blobNumber(number)
  const source: ImageSource = {
    resolve: refuse,
    head: refuse,
    holds: refuse,
    blob: (descriptor) => verified(descriptor, inPieces(content, String(number) === stuckIn), 'blob'),
    close: () => Promise.resolve(),
  }
  const digest = digestOf(content)
  const path = await store.fetch(source, { mediaType: 'x', digest, size: content.length }, signal)
  if (!(await readFile(path)).equals(content)) throw new Error(`blob ${number} is not what it should be`)
  process.stdout.write('fetched\n')
}
