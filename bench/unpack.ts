/**
 * Unpacking on a tmpfs, so that the disk does not decide: a generated image of 1.26 GiB and 60,000 entries, and the real
 * PostgreSQL image, by Fairlead, umoci, buildah and gzip + tar. `node bench/unpack.ts [rounds]`, as root.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { argv, execPath } from 'node:process'
import { postgresImage } from '../scripts/lib/postgres-image.ts'
import { compare, markdownTable, type Contestant } from './lib/compare.ts'
import { benchImage } from './lib/image.ts'

const ROUNDS = 3
/** A tmpfs on every Linux. */
const WORK = '/dev/shm/fairlead-bench'
const OURS = 'fairlead unpack'
const FAIRLEAD = join(import.meta.dirname, '..', 'bin', 'fairlead')

interface Image {
  readonly title: string
  readonly layout: string
  readonly tag: string
}

async function main(): Promise<void> {
  const rounds = Number(argv[2] ?? ROUNDS)
  mkdirSync(WORK, { recursive: true })
  const generated = await benchImage(WORK)
  // Beside the other: buildah makes a name of the path, and refuses hidden folders such as the cache's.
  const postgres = join(WORK, 'postgres')
  rmSync(postgres, { recursive: true, force: true })
  cpSync((await postgresImage()).layout, postgres, { recursive: true })
  measure({ title: 'Generated image', layout: generated.layout, tag: 'bench' }, rounds)
  measure({ title: 'PostgreSQL image', layout: postgres, tag: '15' }, rounds)
}

function measure(image: Image, rounds: number): void {
  const blobs = layerBlobs(image)
  const contestants = contestantsFor(image, blobs).filter(({ command }) =>
    isInstalled(command.split(' ')[0] ?? ''),
  )
  const results = compare(
    contestants,
    rounds,
    () => mkdtempSync(join(WORK, 'out-')),
    (out) => rmSync(out, { recursive: true, force: true }),
  )
  const packedMiB = blobs.reduce((sum, blob) => sum + statSync(blob).size, 0) / 2 ** 20
  console.log(`### ${image.title}\n`)
  console.log(`${packedMiB.toFixed(0)} MiB in ${blobs.length} layers; medians of ${rounds} rounds in turn.\n`)
  console.log(`${markdownTable(results, OURS)}\n`)
  console.log(`Peak memory of ours: ${peakMiB(image).toFixed(0)} MiB.\n`)
}

function contestantsFor({ layout, tag }: Image, blobs: readonly string[]): readonly Contestant[] {
  const buildah = 'buildah --root "$OUT/root" --runroot "$OUT/run"'
  return [
    { name: OURS, command: `${FAIRLEAD} unpack "oci:${layout}:${tag}" "$OUT/image"` },
    {
      name: 'gzip -dc, tar -x (no digests, no whiteouts)',
      command: blobs
        .map((blob) => `${decoderOf(blob)} "${blob}" | tar -x --numeric-owner -p -C "$OUT"`)
        .join(' && '),
    },
    { name: 'umoci unpack', command: `umoci unpack --image "${layout}:${tag}" "$OUT/bundle"` },
    {
      name: 'buildah pull, overlay',
      command: `${buildah} --storage-driver overlay pull -q "oci:${layout}:${tag}"`,
    },
    { name: 'buildah pull, vfs', command: `${buildah} --storage-driver vfs pull -q "oci:${layout}:${tag}"` },
  ]
}

/** Layers may be packed by either program, or not at all. */
function decoderOf(blob: string): string {
  const head = Buffer.alloc(4)
  const fd = openSync(blob, 'r')
  readSync(fd, head)
  closeSync(fd)
  if (head.readUInt32LE() === 0xfd2fb528) return 'zstd -dcq'
  return head.readUInt16BE() === 0x1f8b ? 'gzip -dc' : 'cat'
}

/** The layers' blobs, lowest first. */
function layerBlobs({ layout, tag }: Image): readonly string[] {
  const { layers } = JSON.parse(
    execFileSync(FAIRLEAD, ['inspect', `oci:${layout}:${tag}`, '-o', 'json'], { encoding: 'utf8' }),
  ) as { layers: { digest: string }[] }
  return layers.map(({ digest }) => join(layout, 'blobs', digest.replace(':', '/')))
}

function peakMiB({ layout, tag }: Image): number {
  const out = mkdtempSync(join(WORK, 'out-'))
  const once = join(import.meta.dirname, 'lib', 'unpack-once.ts')
  try {
    // The memory settings of bin/fairlead.
    const args = ['--max-semi-space-size=8', once, layout, tag, join(out, 'image')]
    return Number(execFileSync(execPath, args, { encoding: 'utf8' })) / 1024
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

await main()
