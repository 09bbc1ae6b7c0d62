/**
 * The demo image: a stand-in for Mattermost, compiled from demo/src, with everything that makes the real image hard
 * to run right. Five VOLUMEs of which one ships a plugin's program, a user by name, no shell.
 */
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { cachedFolder, cacheKey } from './cache.ts'
import { buildImage } from './oci-image.ts'
import type { BuiltImage } from './oci-image.ts'
import { writeLayout } from './oci-layout.ts'
import { mustRun } from './run.ts'
import { tarEnd, tarEntry } from './tar.ts'

export interface DemoImage {
  /** Folder of the OCI layout with the tags `v1` and `v2`: two builds of one app, v2 with one line changed. */
  readonly layout: string
  /** A plugin's program that is not in the image, to be installed at run time. Prints `extra: …`. */
  readonly extraPlugin: string
}

/** What the tags of the layout say of themselves in `GET /version`. */
export const DEMO_VERSIONS = { v1: '10.12.0', v2: '10.12.1' } as const

const SOURCES = path.join(import.meta.dirname, '../../demo/src')
const MODULES = ['mattermost', 'http', 'plugins', 'posts', 'text']
const COMPILER_FLAGS = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-s']
const UID = 2000
const SCRATCH = '.build'

/** Builds the image, or finds it in the cache. Needs gcc and libc6-dev; no network. */
export async function demoImage(): Promise<DemoImage> {
  const folder = await cachedFolder('demo-image', await key(), async (staging) => {
    const images = { v1: await image(DEMO_VERSIONS.v1, staging), v2: await image(DEMO_VERSIONS.v2, staging) }
    await writeLayout(path.join(staging, 'layout'), [
      { image: images.v1, tag: 'v1' },
      { image: images.v2, tag: 'v2' },
    ])
    await writeFile(path.join(staging, 'extra-plugin'), await plugin('extra: installed by you', staging))
    await chmod(path.join(staging, 'extra-plugin'), 0o755)
    await rm(path.join(staging, SCRATCH), { recursive: true })
  })
  return { layout: path.join(folder, 'layout'), extraPlugin: path.join(folder, 'extra-plugin') }
}

async function key(): Promise<string> {
  const sources = (await readdir(SOURCES)).toSorted().map((name) => path.join(SOURCES, name))
  const writers = ['demo-image.ts', 'oci-image.ts', 'oci-layout.ts', 'tar.ts']
  const files = [...sources, ...writers.map((name) => path.join(import.meta.dirname, name))]
  const versions = await mustRun('dpkg-query', ['-W', '-f', '${Package} ${Version}\n', 'gcc-12', 'libc6-dev'])
  return await cacheKey(files, [versions, process.arch])
}

async function image(version: string, staging: string): Promise<BuiltImage> {
  const program = await compile(MODULES, { VERSION: version }, staging)
  const hello = await plugin('hello: shipped in the image', staging)
  return buildImage({
    layers: [baseLayer(), appLayer(program, hello)],
    config: {
      User: 'mattermost',
      Env: ['PATH=/mattermost/bin:/usr/local/bin:/usr/bin:/bin', 'MM_SERVICESETTINGS_ENABLELOCALMODE=true'],
      Cmd: ['/mattermost/bin/mattermost'],
      WorkingDir: '/mattermost',
      Volumes: ['data', 'logs', 'config', 'plugins', 'client/plugins'].map((name) => `/mattermost/${name}`),
      ExposedPorts: ['8065/tcp'],
      Labels: { 'org.opencontainers.image.version': version },
    },
  })
}

function plugin(greeting: string, staging: string): Promise<Buffer> {
  return compile(['plugin'], { GREETING: greeting }, staging)
}

/** Compiles to a static program: the image has no loader and no libraries, as distroless ones. */
async function compile(
  modules: readonly string[],
  macros: Readonly<Record<string, string>>,
  staging: string,
): Promise<Buffer> {
  const scratch = path.join(staging, SCRATCH)
  await mkdir(scratch, { recursive: true })
  const output = path.join(scratch, 'program')
  const defines = Object.entries(macros).map(([name, value]) => `-D${name}="${value}"`)
  const files = modules.map((name) => `${name}.c`)
  await mustRun('gcc', [...COMPILER_FLAGS, ...defines, '-o', output, ...files], { cwd: SOURCES })
  return await readFile(output)
}

function baseLayer(): Buffer {
  const passwd = [
    'root:x:0:0:root:/root:/sbin/nologin',
    `mattermost:x:${UID}:${UID}:Mattermost:/home/nonroot:/sbin/nologin`,
    'nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin',
  ]
  const group = ['root:x:0:', `mattermost:x:${UID}:`, 'nogroup:x:65534:']
  return Buffer.concat([
    directory('etc/', 0o755),
    file('etc/passwd', 0o644, `${passwd.join('\n')}\n`),
    file('etc/group', 0o644, `${group.join('\n')}\n`),
    directory('home/', 0o755),
    directory('home/nonroot/', 0o700, UID),
    directory('tmp/', 0o1777),
    tarEnd(),
  ])
}

function appLayer(program: Buffer, hello: Buffer): Buffer {
  const config = '{"ServiceSettings": {"SiteName": "shipped with the image"}}\n'
  return Buffer.concat([
    directory('mattermost/', 0o755, UID),
    directory('mattermost/bin/', 0o755),
    file('mattermost/bin/mattermost', 0o755, program),
    directory('mattermost/data/', 0o750, UID),
    directory('mattermost/logs/', 0o750, UID),
    directory('mattermost/config/', 0o750, UID),
    file('mattermost/config/config.json', 0o640, config, UID),
    directory('mattermost/plugins/', 0o755, UID),
    directory('mattermost/plugins/hello/', 0o755, UID),
    file('mattermost/plugins/hello/plugin', 0o755, hello, UID),
    directory('mattermost/client/', 0o755, UID),
    directory('mattermost/client/plugins/', 0o755, UID),
    tarEnd(),
  ])
}

function directory(name: string, mode: number, owner = 0): Buffer {
  return tarEntry({ name, type: 'directory', mode, uid: owner, gid: owner })
}

function file(name: string, mode: number, content: string | Buffer, owner = 0): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return tarEntry({ name, type: 'file', mode, uid: owner, gid: owner }, bytes)
}
