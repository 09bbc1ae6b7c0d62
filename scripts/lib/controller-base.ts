/** What the controller's image is built on in tests: Debian as both bases, and npm beside it for the build alone. */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { cachedFolder, cacheKey } from './cache.ts'
import { debianLayer } from './debian-layer.ts'
import { buildImage } from './oci-image.ts'
import { writeLayout } from './oci-layout.ts'
import { mustRun } from './run.ts'

export interface Base {
  /** Folder of the OCI layout and the tag of the image in it. */
  readonly layout: string
  readonly tag: string
  /** A folder with Node and npm, to be mounted over /usr/local while the build runs; the image never holds it. */
  readonly npm: string
}

/** libstdc++ is the one library beyond glibc that Node needs; Debian's slim images have it by way of apt. */
const PACKAGES = ['libstdc++6']
const TAG = 'debian'

/** Builds both, or finds them in the cache: they change seldom, the sources of the controller often. */
export async function controllerBase(): Promise<Base> {
  const npm = (await mustRun('npm', ['--version'])).trim()
  const folder = await cachedFolder('controller-base', await baseKey(npm), (staging) =>
    inScratch(async (scratch) => {
      const system = await debianLayer(PACKAGES, path.join(scratch, 'system.tar.gz'))
      await writeLayout(path.join(staging, 'layout'), [
        { image: buildImage({ layers: [system], config: {} }), tag: TAG },
      ])
      await addNpm(path.join(staging, 'npm'), npm)
    }),
  )
  return { layout: path.join(folder, 'layout'), tag: TAG, npm: path.join(folder, 'npm') }
}

async function baseKey(npm: string): Promise<string> {
  const policy = await mustRun('apt-cache', ['policy', 'libc6', 'base-files'])
  const versions = [...policy.matchAll(/Candidate: (\S+)/g)].map(([, version]) => version ?? '')
  const files = ['controller-base.ts', 'debian-layer.ts'].map((name) => path.join(import.meta.dirname, name))
  return await cacheKey(files, [npm, process.version, process.arch, ...versions])
}

async function addNpm(target: string, version: string): Promise<void> {
  await mkdir(path.join(target, 'bin'), { recursive: true })
  await cp(process.execPath, path.join(target, 'bin/node'))
  await mustRun('npm', [
    'install',
    '--global',
    '--prefix',
    target,
    '--no-audit',
    '--no-fund',
    `npm@${version}`,
  ])
}

/** Calls `work` with an empty folder that is gone afterwards. */
export async function inScratch(work: (scratch: string) => Promise<void>): Promise<void> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'fairlead-controller-image-'))
  try {
    await work(scratch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
