/**
 * Unpacking a 1.26 GiB image of 60,000 entries: Fairlead against umoci, buildah and gzip + tar, on a tmpfs so that the
 * disk does not decide. `node bench/unpack.ts [rounds]`, as root; prints the table of docs/performance.md.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { argv, execPath } from 'node:process'
import { compare, markdownTable, type Contestant } from './lib/compare.ts'
import { benchImage } from './lib/image.ts'

const ROUNDS = 3
/** A tmpfs on every Linux. */
const WORK = '/dev/shm/fairlead-bench'

const OURS = 'fairlead'

async function main(): Promise<void> {
  const rounds = Number(argv[2] ?? ROUNDS)
  mkdirSync(WORK, { recursive: true })
  const { layout, blobs } = await benchImage(WORK)
  const contestants = contestantsFor(layout, blobs).filter(
    ({ name }) => name === OURS || isInstalled(name.split(' ')[0] ?? ''),
  )
  const results = compare(
    contestants,
    rounds,
    () => mkdtempSync(join(WORK, 'out-')),
    (out) => rmSync(out, { recursive: true, force: true }),
  )
  const packed = blobs.reduce((sum, blob) => sum + statSync(blob).size, 0)
  console.log(
    `Image: ${(packed / 2 ** 20).toFixed(0)} MiB in ${blobs.length} gzip layers; ${rounds} rounds, medians, tmpfs.\n`,
  )
  console.log(markdownTable(results, OURS))
  const memory = results.find(({ name }) => name === OURS)?.output
  console.log(`\nPeak memory of ${OURS}: ${(Number(memory) / 1024).toFixed(0)} MiB.`)
}

function contestantsFor(layout: string, blobs: readonly string[]): readonly Contestant[] {
  const once = join(import.meta.dirname, 'lib', 'unpack-once.ts')
  const storage = '--root "$OUT/root" --runroot "$OUT/run"'
  return [
    { name: OURS, command: `"${execPath}" "${once}" "${layout}" "$OUT/image"` },
    {
      name: 'gzip | tar (no DiffIDs, no whiteouts)',
      command: blobs.map((blob) => `gzip -dc "${blob}" | tar -x --numeric-owner -p -C "$OUT"`).join(' && '),
    },
    { name: 'umoci unpack', command: `umoci unpack --image "${layout}:bench" "$OUT/bundle"` },
    {
      name: 'buildah pull (vfs)',
      command: `buildah ${storage} --storage-driver vfs pull -q "oci:${layout}:bench"`,
    },
    {
      name: 'buildah pull (overlay)',
      command: `buildah ${storage} --storage-driver overlay pull -q "oci:${layout}:bench"`,
    },
  ]
}

function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

await main()
