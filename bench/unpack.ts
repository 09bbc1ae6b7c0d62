/**
 * Unpacking on a tmpfs, where the disk does not decide, and on a disk: a generated image of 1.26 GiB and 60,000 entries as
 * gzip and as zstd, the real PostgreSQL image, and a second image that shares nine tenths of its layers with the first;
 * by Fairlead, umoci, buildah, containerd and gzip + tar. As root: `npx node bench/unpack.ts [rounds] [tmpfs|disk]`.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { argv, execPath } from 'node:process'
import { postgresImage } from '../scripts/lib/postgres-image.ts'
import { compare, markdownTable, type Contestant, type Result } from './lib/compare.ts'
import { containerdCommand } from './lib/containerd.ts'
import { benchImages, type BenchImages } from './lib/image.ts'

const ROUNDS = 5
const OURS = 'fairlead unpack'
const FAIRLEAD = join(import.meta.dirname, '..', 'bin', 'fairlead')
const LIB = join(import.meta.dirname, 'lib')
/** As bin/fairlead starts it: its memory settings, and its cache of compiled code. */
const CODE_CACHE = join(import.meta.dirname, '..', 'node_modules/.cache/fairlead')
const NODE = `NODE_COMPILE_CACHE="${CODE_CACHE}" "${execPath}" --max-semi-space-size=8`

interface Place {
  readonly name: string
  /** Images, and below it the results. */
  readonly dir: string
  /** Whether the time until all is on the disk counts: ours never says that it is done before. */
  readonly sync: boolean
}

const PLACES: readonly Place[] = [
  { name: 'tmpfs', dir: '/dev/shm/fairlead-bench', sync: false },
  { name: 'disk', dir: '/var/tmp/fairlead-bench', sync: true },
]

interface Image {
  readonly title: string
  readonly layout: string
  readonly tag: string
  /** Whether peers besides the plain decoder and tar take part. */
  readonly withPeers: boolean
}

async function main(): Promise<void> {
  const rounds = Number(argv[2] ?? ROUNDS)
  for (const place of PLACES.filter(({ name }) => argv[3] === undefined || argv[3] === name)) {
    mkdirSync(place.dir, { recursive: true })
    const images = await benchImages(place.dir)
    console.log(`### On a ${place.name}\n`)
    const gzip = await measure(place, rounds, {
      title: 'Generated image, gzip',
      layout: images.gzip,
      tag: 'bench',
      withPeers: true,
    })
    const zstd = await measure(place, rounds, {
      title: 'Generated image, zstd',
      layout: images.zstd,
      tag: 'bench',
      withPeers: false,
    })
    console.log(`Ours with zstd against ours with gzip: ${(zstd / gzip).toFixed(2)}.\n`)
    const title = 'PostgreSQL image'
    await measure(place, rounds, { title, layout: await postgresIn(place), tag: '15', withPeers: true })
    measureSecondImage(place, rounds, images)
  }
}

/** Beside the others: buildah makes a name of the path, and refuses hidden folders such as the cache's. */
async function postgresIn({ dir }: Place): Promise<string> {
  const layout = join(dir, 'postgres')
  rmSync(layout, { recursive: true, force: true })
  cpSync((await postgresImage()).layout, layout, { recursive: true })
  return layout
}

/** Returns the median seconds of ours. */
async function measure(place: Place, rounds: number, image: Image): Promise<number> {
  const blobs = layerBlobs(image)
  const contestants = (await contestantsFor(place, image, blobs)).filter(({ command }) =>
    isInstalled(command.split(' ')[0] ?? ''),
  )
  const results = run(place, rounds, contestants)
  const packedMiB = blobs.reduce((sum, blob) => sum + statSync(blob).size, 0) / 2 ** 20
  console.log(`#### ${image.title}, ${place.name}\n`)
  console.log(`${packedMiB.toFixed(0)} MiB in ${blobs.length} layers; medians of ${rounds} rounds in turn.\n`)
  console.log(`${markdownTable(results, OURS)}\n`)
  console.log(`Peak memory of ours: ${peakMiB(place, image).toFixed(0)} MiB.\n`)
  return results[0]?.medianSeconds ?? Number.NaN
}

function run({ dir }: Place, rounds: number, contestants: readonly Contestant[]): readonly Result[] {
  return compare(
    contestants,
    rounds,
    () => mkdtempSync(join(dir, 'out-')),
    (out) => rmSync(out, { recursive: true, force: true }),
  )
}

async function contestantsFor(
  place: Place,
  image: Image,
  blobs: readonly string[],
): Promise<readonly Contestant[]> {
  const { layout, tag } = image
  const synced = place.sync ? ' && sync -f "$OUT"' : ''
  const plain = blobs.map((blob) => `${decoderOf(blob)} "${blob}" | tar -x --numeric-owner -p -C "$OUT"`)
  const ours = { name: OURS, command: `${FAIRLEAD} unpack "oci:${layout}:${tag}" "$OUT/image"` }
  const decoder = decoderOf(blobs[0] ?? '').split(' ')[0] ?? ''
  const tar = {
    name: `${decoder} -dc, tar -x (no digests, no whiteouts)`,
    command: `${plain.join(' && ')}${synced}`,
  }
  if (!image.withPeers) return [ours, tar]
  const buildah = 'buildah --root "$OUT/root" --runroot "$OUT/run"'
  const pull = (driver: string): Contestant => ({
    name: `buildah pull, ${driver}`,
    command: `${buildah} --storage-driver ${driver} pull -q "oci:${layout}:${tag}"${synced}`,
  })
  const archive = join(place.dir, 'archive.tar')
  execFileSync('tar', ['-C', layout, '-cf', archive, '.'])
  const containerd = await containerdCommand(archive, place.dir)
  return [
    ours,
    tar,
    { name: 'umoci unpack', command: `umoci unpack --image "${layout}:${tag}" "$OUT/bundle"${synced}` },
    pull('overlay'),
    pull('vfs'),
    {
      name: 'containerd import, overlayfs',
      command: place.sync ? `env SYNC=1 ${containerd}` : containerd,
      printsSeconds: true,
    },
  ]
}

/** Through the layer store, as the controller does. */
function measureSecondImage(place: Place, rounds: number, { pair }: BenchImages): void {
  const once = (tag: string): string => `${NODE} "${join(LIB, 'store-once.ts')}" "${pair}" ${tag} "$OUT"`
  const [first, second] = ['first image', 'second image, nine tenths of its layers shared']
  const contestants: readonly Contestant[] = [
    { name: first, command: once('first'), printsSeconds: true },
    { name: second, command: `${once('first')} >/dev/null && ${once('second')}`, printsSeconds: true },
  ]
  const results = run(place, rounds, contestants)
  console.log(`#### Layer store, ${place.name}\n`)
  console.log(
    'Without the start of the program. The processor time of the second includes that of the first.\n',
  )
  console.log(`${markdownTable(results, first)}\n`)
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

function peakMiB({ dir }: Place, { layout, tag }: Image): number {
  const out = mkdtempSync(join(dir, 'out-'))
  try {
    const command = `${NODE} "${join(LIB, 'unpack-once.ts')}" "${layout}" ${tag} "${join(out, 'image')}"`
    return Number(execFileSync('sh', ['-c', command], { encoding: 'utf8' })) / 1024
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

await main()
