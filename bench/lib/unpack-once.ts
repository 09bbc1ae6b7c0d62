/** One unpacking by Fairlead in a process of its own: `node unpack-once.ts LAYOUT TAG DIR`. Prints its peak memory in KiB. */
import { argv } from 'node:process'
import { unpackImage } from '../../src/engine/local/unpack/unpack-image.ts'
import { openLayout } from './open-layout.ts'

const [, , layout = '', tag = '', dir = ''] = argv
const { signal } = new AbortController()
const { source, image } = await openLayout(layout, tag, signal)
await unpackImage({
  source,
  manifest: image.manifest,
  config: image.config,
  dir,
  signal,
})
await source.close()
console.log(process.resourceUsage().maxRSS)
