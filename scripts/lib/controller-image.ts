/**
 * The controller's image, built from the project's own Dockerfile by buildah: no daemon, no registry. Both bases are
 * Debian packages; the one to build on has Node and npm as well. npm runs with the machine's own settings and cache.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { cachedFolder, cacheKey, pruneCache } from './cache.ts'
import { controllerBase, inScratch } from './controller-base.ts'
import type { Base } from './controller-base.ts'
import { mustRun, run } from './run.ts'

export interface ControllerImage {
  /** Folder of the OCI layout; the image's tag is the version of package.json. */
  readonly layout: string
  readonly tag: string
}

const ROOT = path.join(import.meta.dirname, '../..')
const HERE = import.meta.dirname
const INPUTS = ['Dockerfile', '.dockerignore', 'package.json', 'package-lock.json', '.npmrc', 'tsconfig.json']
const BASE_NAME = 'localhost/fairlead-base:debian'
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** Builds the image (about two minutes), or finds it in the cache. Needs root, buildah, mmdebstrap and npm's packages. */
export async function controllerImage(): Promise<ControllerImage> {
  const tag = await packageVersion()
  const folder = await cachedFolder('controller-image', await imageKey(), async (staging) => {
    const base = await controllerBase()
    await inScratch((scratch) => buildController(base, path.join(staging, 'layout'), tag, scratch))
    await pruneCache('controller-image')
  })
  return { layout: path.join(folder, 'layout'), tag }
}

async function packageVersion(): Promise<string> {
  const text = await readFile(path.join(ROOT, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

async function imageKey(): Promise<string> {
  const sources = (await readdir(path.join(ROOT, 'src'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .toSorted()
  const files = [...INPUTS, 'tsconfig.build.json', ...sources].map((file) => path.join(ROOT, file))
  // The key's files go by their base names, and two folders may have files of one name: their paths count as well.
  return await cacheKey([...files, ...ownFiles()], [...sources, process.arch])
}

function ownFiles(): readonly string[] {
  const names = ['controller-image.ts', 'controller-base.ts', 'debian-layer.ts']
  return names.map((name) => path.join(HERE, name))
}

async function buildController(base: Base, layout: string, tag: string, scratch: string): Promise<void> {
  const storage = { root: path.join(scratch, 'root'), run: path.join(scratch, 'run') }
  // By skopeo, since buildah takes an oci: path for a repository's name and refuses one with a dot or capitals.
  const store = `containers-storage:[vfs@${storage.root}+${storage.run}]${BASE_NAME}`
  await mustRun('skopeo', ['--insecure-policy', 'copy', '--quiet', `oci:${base.layout}:${base.tag}`, store])
  const buildah = ['--storage-driver', 'vfs', '--root', storage.root, '--runroot', storage.run]
  const how = ['--isolation', 'chroot', '--network', 'host', '--layers=false', '--pull-never']
  const facts = [`BASE=${BASE_NAME}`, `BUILD_BASE=${BASE_NAME}`, `VERSION=${tag}`]
  const args = [
    ...how,
    ...facts.flatMap((fact) => ['--build-arg', fact]),
    ...(await npmVolumes(base.npm, scratch)),
  ]
  await build([...buildah, 'bud', ...args, '--timestamp', '1700000000', '--tag', 'controller', ROOT])
  await mustRun('buildah', [...buildah, 'push', 'controller', `oci:${layout}:${tag}`])
}

/** What the build's own programs say goes to stdout: the compiler's errors among it. */
async function build(args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await run('buildah', args)
  if (code === 0) return
  const words = [stdout, stderr].map((text) => text.trim().split('\n').slice(-15).join('\n'))
  throw new Error(`buildah bud: exit code ${String(code)}\n${words.join('\n')}`)
}

/** npm's settings may hold credentials: they are mounted while the build runs, and no layer has them. */
async function npmVolumes(npm: string, scratch: string): Promise<readonly string[]> {
  const cache = (await mustRun('npm', ['config', 'get', 'cache'])).trim()
  const settings = path.join(scratch, 'npmrc')
  const own = path.join(homedir(), '.npmrc')
  const hasCertificates = existsSync(CERTIFICATES)
  const lines = [
    existsSync(own) ? await readFile(own, 'utf8') : '',
    hasCertificates ? `cafile=${CERTIFICATES}` : '',
  ]
  await writeFile(settings, `${lines.join('\n')}\n`, { mode: 0o600 })
  const mounts = [`${npm}:/usr/local:ro`, `${cache}:/root/.npm`, `${settings}:/root/.npmrc:ro`]
  if (hasCertificates) mounts.push(`${CERTIFICATES}:${CERTIFICATES}:ro`)
  return mounts.flatMap((mount) => ['--volume', mount])
}
