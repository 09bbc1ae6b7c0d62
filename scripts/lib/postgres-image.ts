/**
 * A real PostgreSQL image from Debian packages: `postgres` by name, a data volume, a second volume that ships an
 * extension library to be loaded from there, and an entrypoint that makes the cluster on first start.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { cachedFolder, cacheKey } from './cache.ts'
import { debianLayer } from './debian-layer.ts'
import { buildImage } from './oci-image.ts'
import type { BuiltImage, LayerFile } from './oci-image.ts'
import { writeLayout } from './oci-layout.ts'
import { mustRun } from './run.ts'
import { tarEnd, tarEntry } from './tar.ts'

export interface PostgresImage {
  /** Folder of the OCI layout with the tags `15` and `15-next`: same layers, another label and variable. */
  readonly layout: string
}

const VERSION = '15'
const ENTRYPOINT = path.join(import.meta.dirname, 'postgres-entrypoint.sh')
const PGDATA_VOLUME = '/var/lib/postgresql/data'
const EXTENSION_VOLUME = '/ext'

/** Builds the image, or finds it in the cache. Needs root, mmdebstrap and, when it is not cached, a Debian mirror. */
export async function postgresImage(): Promise<PostgresImage> {
  const folder = await cachedFolder('postgres-image', await key(), async (staging) => {
    const scratch = await mkdtemp(path.join(tmpdir(), 'fairlead-postgres-'))
    try {
      await build(path.join(staging, 'layout'), scratch)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  })
  return { layout: path.join(folder, 'layout') }
}

async function key(): Promise<string> {
  const names = [
    'postgres-image.ts',
    'debian-layer.ts',
    'oci-image.ts',
    'oci-layout.ts',
    'layer-file.ts',
    'tar.ts',
  ]
  const files = [ENTRYPOINT, ...names.map((name) => path.join(import.meta.dirname, name))]
  const policy = await mustRun('apt-cache', ['policy', `postgresql-${VERSION}`])
  return await cacheKey(files, [/Candidate: (\S+)/.exec(policy)?.[1] ?? 'unknown', process.arch])
}

async function build(layout: string, scratch: string): Promise<void> {
  const system = await systemLayer(scratch)
  const { uid, gid } = parsePasswd(await readFile(path.join(scratch, 'passwd'), 'utf8'))
  const app = appLayer(await readFile(ENTRYPOINT), uid, gid)
  await writeLayout(layout, [
    { image: image(system, app, '1'), tag: VERSION },
    { image: image(system, app, '2'), tag: `${VERSION}-next` },
  ])
}

/** Debian's packages as one layer, about 390 MiB before compression, streamed from mmdebstrap to disk. */
function systemLayer(scratch: string): Promise<LayerFile> {
  const library = `/usr/lib/postgresql/${VERSION}/lib/auto_explain.so`
  return debianLayer([`postgresql-${VERSION}`], path.join(scratch, 'layer.tar.gz'), [
    // No cluster of Debian's own: the entrypoint makes one in the volume.
    '--essential-hook=mkdir -p "$1/etc/postgresql-common"',
    '--essential-hook=echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"',
    `--customize-hook=mkdir "$1${EXTENSION_VOLUME}" && cp "$1${library}" "$1${EXTENSION_VOLUME}/"`,
    `--customize-hook=download /etc/passwd ${path.join(scratch, 'passwd')}`,
  ])
}

/** The ids that Debian gave to `postgres` in this image; they differ between builds of other package sets. */
function parsePasswd(passwd: string): { uid: number; gid: number } {
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(passwd) ?? []
  if (uid === undefined || gid === undefined) throw new Error('no user postgres in the image: /etc/passwd')
  return { uid: Number(uid), gid: Number(gid) }
}

/** mmdebstrap empties /run, and the server needs its socket folder there. */
function appLayer(entrypoint: Buffer, uid: number, gid: number): Buffer {
  const owned = { type: 'directory', uid, gid } as const
  return Buffer.concat([
    tarEntry({ ...owned, name: 'run/postgresql/', mode: 0o2775 }),
    tarEntry({ ...owned, name: `${PGDATA_VOLUME.slice(1)}/`, mode: 0o700 }),
    tarEntry({ name: 'usr/local/bin/docker-entrypoint.sh', type: 'file', mode: 0o755 }, entrypoint),
    tarEnd(),
  ])
}

function image(system: LayerFile, app: Buffer, revision: string): BuiltImage {
  return buildImage({
    layers: [system, app],
    config: {
      User: 'postgres',
      Env: [
        `PATH=/usr/lib/postgresql/${VERSION}/bin:/usr/local/bin:/usr/bin:/bin`,
        `PGDATA=${PGDATA_VOLUME}/pgdata`,
        'LANG=C.UTF-8',
        `IMAGE_REVISION=${revision}`,
      ],
      Entrypoint: ['/usr/local/bin/docker-entrypoint.sh'],
      Cmd: ['postgres'],
      Volumes: [PGDATA_VOLUME, EXTENSION_VOLUME],
      ExposedPorts: ['5432/tcp'],
      Labels: { 'org.opencontainers.image.revision': revision },
      StopSignal: 'SIGINT',
    },
  })
}
