/** `make images`: builds registry clients and a registry into the cache. Without Go that is a skip, under CI an error. */
import { registryBinaries } from './lib/registry-binaries.ts'

try {
  console.log(`registry programs: ${Object.values(await registryBinaries()).join(', ')}`)
} catch (error) {
  const words = error instanceof Error ? error.message : String(error)
  if (process.env['CI'] !== undefined) throw error
  console.error(
    `SKIPPED: crane, regctl and the registry were not built, so their tests are skipped: ${words}`,
  )
}
