/** Unpacks a tar through a layer store in a process of its own: `node fill-process.ts FOLDER NAME TAR`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { argv } from 'node:process'
import { LayerStore } from '../../../../src/engine/local/layer-store.ts'
import { StoredContent } from '../../../../src/engine/local/stored-content.ts'
import { unpackImage } from '../../../../src/engine/local/unpack/unpack-image.ts'
import { digestOf } from '../../../../src/image/digest.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'

const [, , folder = '', name = '', file = ''] = argv
const tar = readFileSync(file)
const digest = digestOf(tar)
const store = new LayerStore(join(folder, 'layers'))
await unpackImage({
  source: {
    blob: async function* () {
      yield await Promise.resolve(tar)
    },
  },
  manifest: {
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: tar.length }],
  },
  config: { diffIds: [digest] },
  dir: join(folder, name),
  keepIds: process.geteuid?.() === 0,
  signal: new AbortController().signal,
  shared: (reader, policy) => new StoredContent(store, { policy, limits: DEFAULT_LIMITS }, reader),
})
