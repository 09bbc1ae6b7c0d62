/**
 * Does what a controller does with images: pins one, prepares it, looks whether all of it is there, goes on to the next.
 * Arguments: the store's folder, number of rounds, name of the app. Says `done` at the end; any loss ends it with a stack.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseConfig } from '../../../../src/engine/local/config.ts'
import { LocalImages } from '../../../../src/engine/local/image-store.ts'
import type { ImageSource } from '../../../../src/image/source.ts'
import type { Descriptor } from '../../../../src/image/types.ts'
import { anApp, aStoredApp } from '../../../support/builders.ts'
import { diffIdOf } from '../../../support/layer.ts'
import { AStore, pinnedTo, SIGNAL, smallImage } from './a-store.ts'

const [dir = '', rounds = '1', name = 'one'] = process.argv.slice(2)
const key = { namespace: 'default', name }
const store = new AStore(dir)
const images = ['a', 'b', 'c'].map((letter) => smallImage(`${name}-${letter}`))
const contents = new Map(images.flatMap(({ tars }) => tars.map((tar) => [diffIdOf(tar) as string, tar])))

async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 512) {
    await nextTurn()
    yield content.subarray(at, at + 512)
  }
}

const source: ImageSource = {
  resolve: () => Promise.reject(new Error('not asked')),
  head: () => Promise.reject(new Error('not asked')),
  holds: () => Promise.reject(new Error('not asked')),
  blob: ({ digest }: Descriptor) => inPieces(contents.get(digest) ?? Buffer.alloc(0)),
  close: () => Promise.resolve(),
}
const local = new LocalImages({
  paths: store.paths,
  config: parseConfig({}, ''),
  blobs: store.blobs,
  now: Date.now,
  open: () => Promise.resolve(source),
})
const app = anApp({}, key)
const stored = aStoredApp(key)

await store.pin(key)
for (let round = 0; round < Number(rounds); round++) {
  const { image } = images[round % images.length] ?? smallImage('never')
  await store.apps.writeStatus(key, pinnedTo([image]))
  // A tree of an earlier round may have outlived its blobs: it is used as it is, and nothing is pulled.
  const hadTree = existsSync(join(store.treeDir(image), 'rootfs'))
  const prepared = await local.prepare(app, stored, image, SIGNAL)
  const digests = image.manifest.layers.map(({ digest }) => digest)
  const there = digests.filter((digest) => existsSync(store.blobs.pathOf(digest)))
  if (!hadTree && there.length < digests.length) throw new Error(`round ${round}: a blob is missing`)
  for (let look = 0; look < 5; look++) {
    await readFile(join(prepared.rootfsDir, 'base'))
    for (const digest of there)
      if (!existsSync(store.blobs.pathOf(digest))) throw new Error(`round ${round}: ${digest} vanished`)
    if ((await local.recall(app, stored, image.digest)) === undefined)
      throw new Error(`round ${round}: no record`)
  }
}
process.stdout.write('done\n')
