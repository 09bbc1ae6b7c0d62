/**
 * One image to a state folder in a process of its own, as the controller does it: `node store-once.ts LAYOUT TAG STATE`.
 * Prints the seconds without the start of the program, which a controller has behind it.
 */
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { argv } from 'node:process'
import { layersOf, LayerStore } from '../../src/engine/local/layer-store.ts'
import { StoredContent } from '../../src/engine/local/stored-content.ts'
import { unpackImage } from '../../src/engine/local/unpack/unpack-image.ts'
import { DEFAULT_LIMITS } from '../../src/rootfs/limits.ts'
import { openLayout } from './open-layout.ts'

const [, , layout = '', tag = '', state = ''] = argv
const { signal } = new AbortController()
const { source, image } = await openLayout(layout, tag, signal)
const store = new LayerStore(join(state, 'layers'))
const start = performance.now()
await unpackImage({
  source,
  manifest: image.manifest,
  config: image.config,
  limits: DEFAULT_LIMITS,
  dir: join(state, 'rootfs', tag),
  signal,
  shared: (reader, policy) =>
    new StoredContent(store, { policy, limits: DEFAULT_LIMITS }, reader, layersOf(image)),
})
const seconds = (performance.now() - start) / 1000
await source.close()
console.log(seconds.toFixed(3))
