/** One blob store, several processes, some of them killed: only whole and right blobs are ever seen. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { digestOf } from '../../src/image/digest.ts'
import { BlobStore } from '../../src/registry/blob-store.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'

const BLOBS = 12
const WHOLE = { signal: null, fetched: BLOBS, stderr: '' }

let dir: string
beforeEach(async () => {
  dir = await temporaryFolder()
})

interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly fetched: number
  readonly stderr: string
}

/** A process that fetches all blobs; with `killedIn` it is killed in the midst of that one. */
async function fetcher(killedIn?: number): Promise<Ended> {
  const script = join(import.meta.dirname, 'fetch-process.ts')
  const child = spawn(process.execPath, [script, dir, String(BLOBS), String(killedIn ?? '')])
  let [said, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    if (said.includes('stuck\n')) child.kill('SIGKILL')
  })
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { signal, fetched: said.split('fetched\n').length - 1, stderr }
}

/** Every blob in the store is whole and goes by its own digest, whoever is writing at this moment. */
async function expectOnlyWholeBlobs(store: BlobStore): Promise<number> {
  const digests = await store.list()
  for (const digest of digests) expect(digestOf(await readFile(store.pathOf(digest)))).toBe(digest)
  return digests.length
}

test('processes that fetch the same blobs at once all get them', async () => {
  const results = await Promise.all([fetcher(), fetcher(), fetcher()])
  expect(results).toEqual([WHOLE, WHOLE, WHOLE])
  expect(await expectOnlyWholeBlobs(new BlobStore(dir))).toBe(BLOBS)
  expect(await readdir(join(dir, 'ingest'))).toEqual([])
})

test('whoever is killed in between leaves no half blob, and harms nobody who fetches the same', async () => {
  const store = new BlobStore(dir)
  // Where another one was first with that blob, this one has nothing to fetch and is not killed.
  const [killed, ...others] = await Promise.all([fetcher(0), fetcher(), fetcher()])
  expect(others).toEqual([WHOLE, WHOLE])
  expect([0, BLOBS]).toContain(killed.fetched)
  expect(await expectOnlyWholeBlobs(store)).toBe(BLOBS)
  await store.sweep()
  expect(await readdir(join(dir, 'ingest'))).toEqual([])
})

test.each([0, 3, BLOBS - 1])('the next process goes on where one was killed in blob %i', async (killedIn) => {
  const store = new BlobStore(dir)
  expect(await fetcher(killedIn)).toEqual({ signal: 'SIGKILL', fetched: killedIn, stderr: '' })
  expect(await expectOnlyWholeBlobs(store)).toBe(killedIn)
  expect(await readdir(join(dir, 'ingest'))).toHaveLength(1)
  expect(await fetcher()).toEqual(WHOLE)
  expect(await expectOnlyWholeBlobs(store)).toBe(BLOBS)
  expect(await store.sweep()).toBe(1)
})
