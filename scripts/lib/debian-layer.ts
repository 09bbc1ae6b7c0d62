/** A Debian 12 root as one layer, made by mmdebstrap from the mirror that the machine's apt knows. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeGzipLayer } from './layer-file.ts'
import type { LayerFile } from './oci-image.ts'

const SUITE = 'bookworm'

/**
 * Writes the essential packages and `packages` as a gzip layer into `file`; streamed, never held in memory whole. `hooks`
 * are more options of mmdebstrap, such as `--customize-hook=…`.
 */
export async function debianLayer(
  packages: readonly string[],
  file: string,
  hooks: readonly string[] = [],
): Promise<LayerFile> {
  const args = [
    '--variant=essential',
    `--include=${packages.join(',')}`,
    '--format=tar',
    '--quiet',
    ...hooks,
    SUITE,
    '-',
    ...aptSources(),
  ]
  // A fixed time for all that the build writes, so that equal packages give equal bytes.
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1700000000' }
  const builder = spawn('mmdebstrap', args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const words: Buffer[] = []
  builder.stderr.on('data', (chunk: Buffer) => words.push(chunk))
  const ended = new Promise<number | null>((resolve, reject) => {
    builder.on('error', reject)
    builder.on('close', resolve)
  })
  const [layer, code] = await Promise.all([writeGzipLayer(builder.stdout, file), ended])
  if (code === 0) return layer
  throw new Error(`mmdebstrap: exit code ${String(code)}\n${Buffer.concat(words).toString().trim()}`)
}

/** The machine's own Debian mirror where it names one; mmdebstrap's default otherwise. */
function aptSources(): readonly string[] {
  const candidates = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']
  return candidates.filter((file) => existsSync(file)).slice(0, 1)
}
