/**
 * For bench/resolve.ts, in a process of its own: `node ask-tags.ts digests HOST COUNT WIDTH` asks for the digests of the
 * tags t0, t1, …; `node ask-tags.ts list HOST` lists all tags and prints how much memory that took, in MB.
 */
import { parseReference } from '../../src/image/reference.ts'
import type { RegistryReference } from '../../src/image/types.ts'
import { ANONYMOUS } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { registryOptions } from '../../src/registry/registry-options.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import { listTags } from '../../src/registry/tags.ts'
import { inParallel } from './in-parallel.ts'
import { memoryNow } from './memory-use.ts'

const [mode, host = '', count = '0', width = '1'] = process.argv.slice(2)
const { signal } = new AbortController()
const session = new RegistrySession({ effects: { env: {} } })
const options = { baseDir: '/', registries: {}, keychain: ANONYMOUS, session }

if (mode === 'digests') {
  const numbers = Array.from({ length: Number(count) }, (_one, at) => at)
  await inParallel(numbers, Number(width), async (n) => {
    const source = openSource(parseReference(`${host}/bench/app:t${n}`), options)
    await source.head(signal)
    await source.close()
  })
} else {
  const before = memoryNow(process.pid)
  const reference = parseReference(`${host}/bench/app`) as RegistryReference
  const { tags } = await listTags(reference, registryOptions(options), {}, signal)
  const after = memoryNow(process.pid)
  console.log(
    JSON.stringify({ tags: tags.length, peakMb: after.peakMb, moreMb: after.peakMb - before.rssMb }),
  )
}
session.close()
