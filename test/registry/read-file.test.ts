/** Files in chunks whose buffers are used again: each is whole for as long as it is promised. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openRegular, readRange } from '../../src/registry/read-file.ts'

const MIB = 1024 ** 2

test('a chunk is valid until the second one after it is asked for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-read-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'file')
  // Each MiB of a byte of its own, the last one shorter.
  const bytes = Buffer.concat(Array.from({ length: 9 }, (_, at) => Buffer.alloc(at < 8 ? MIB : 100, at + 1)))
  await writeFile(path, bytes)
  const file = await openRegular(path)
  if (file === undefined) throw new Error('the file is not there')
  onTestFinished(() => file.handle.close())
  const { signal } = new AbortController()
  const held: Buffer[] = []
  let seen = 0
  for await (const chunk of readRange(file.handle, 0, file.size, signal)) {
    held.push(chunk)
    // Reading ahead has had its time.
    for (let turns = 0; turns < 20; turns += 1) await file.handle.stat()
    for (const [at, old] of held.slice(-2).entries()) {
      const number = held.length - Math.min(2, held.length) + at + 1
      expect(old.every((byte) => byte === number)).toBe(true)
    }
    seen += chunk.length
  }
  expect(seen).toBe(bytes.length)
})
