/** `make images`: builds the programs of the test cluster into the cache. Without Go that is a skip, under CI an error. */
import { dirname } from 'node:path'
import { clusterBinaries } from './lib/cluster-binaries.ts'

try {
  const binaries = await clusterBinaries()
  console.log(`cluster programs: ${dirname(binaries.kube)} and beside it`)
} catch (error) {
  const words = error instanceof Error ? error.message : String(error)
  if (process.env['CI'] !== undefined) throw error
  console.error(
    `SKIPPED: the programs of the test cluster were not built, so its tests are skipped: ${words}`,
  )
}
