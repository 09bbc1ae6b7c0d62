/** One unpacking by Fairlead in a process of its own: `node unpack-once.ts LAYOUT TAG DIR`. Prints its peak memory in KiB. */
import { argv, arch } from 'node:process'
import { unpackImage } from '../../src/engine/local/unpack/unpack-image.ts'
import { parseRegistriesConfig } from '../../src/registry/registries-config.ts'
import { openSource } from '../../src/registry/open.ts'

const [, , layout = '', tag = '', dir = ''] = argv
const signal = new AbortController().signal
const source = openSource(
  { kind: 'oci', original: `oci:${layout}:${tag}`, path: layout, tag, digest: undefined },
  {
    baseDir: '/',
    registries: parseRegistriesConfig({}),
    keychain: { find: async () => ({ credentials: [], problems: [] }) },
  },
)
const { manifest, config } = await source.resolve(
  { os: 'linux', architecture: arch === 'x64' ? 'amd64' : arch },
  signal,
)
await unpackImage({ source, manifest, config, dir, signal })
await source.close()
console.log(process.resourceUsage().maxRSS)
