/**
 * The Go that builds the cluster's programs. A new enough one on the PATH is taken as it is; an older one (Debian 12 has
 * 1.19) fetches the right toolchain as a Go module, checked by Go's checksum database and by the sum written here.
 */
import { chmod, cp, readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { cachedFolder } from './cache.ts'
import { mustRun, run } from './run.ts'

export interface GoTool {
  /** The program to run. */
  readonly program: string
  /** What `go version` says, as in `go1.26.8 linux/amd64`. */
  readonly version: string
  /** Environment that keeps a person's own Go settings out of the build. */
  readonly env: Readonly<Record<string, string>>
}

/** What the modules in test/cluster/modules ask for. */
const NEEDED: Version = [1, 26, 6]
const TOOLCHAIN = 'v0.0.1-go1.26.8'
const PLATFORMS: Readonly<Record<string, { readonly name: string; readonly sum: string }>> = {
  x64: { name: 'linux-amd64', sum: 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=' },
  arm64: { name: 'linux-arm64', sum: 'h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=' },
}
const CANDIDATES = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go']

type Version = readonly [number, number, number]

/** Finds or fetches it. Throws in words what is missing when there is no Go at all. */
export async function goTool(candidates: readonly string[] = CANDIDATES): Promise<GoTool> {
  const found = await installed(candidates)
  const fit = found.find(({ version }) => isNewEnough(version))
  if (fit !== undefined) return tool(fit.program, fit.version)
  const [old] = found
  if (old === undefined)
    throw new Error('there is no Go: install the Debian package golang-go (any version will do)')
  const program = path.join(await fetchedToolchain(old.program), 'bin/go')
  return tool(program, await versionOf(program))
}

/** Of what `go version` says: `go1.26.8 linux/amd64`. One that it cannot read is not new enough. */
export function isNewEnough(version: string): boolean {
  const [, major, minor, patch] = /^go(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? []
  if (major === undefined || minor === undefined) return false
  const have: Version = [Number(major), Number(minor), Number(patch ?? 0)]
  const index = have.findIndex((part, at) => part !== NEEDED[at])
  return index === -1 || (have[index] ?? 0) > (NEEDED[index] ?? 0)
}

async function installed(
  candidates: readonly string[],
): Promise<readonly { readonly program: string; readonly version: string }[]> {
  const found = []
  for (const program of candidates) {
    const version = await versionOf(program).catch(() => undefined)
    if (version !== undefined) found.push({ program, version })
  }
  return found
}

async function versionOf(program: string): Promise<string> {
  const result = await run(program, ['version'], { env: { GOTOOLCHAIN: 'local' } })
  if (result.code !== 0) throw new Error(`${program} version: ${result.stderr.trim()}`)
  return result.stdout.trim().replace(/^go version /, '')
}

function tool(program: string, version: string): GoTool {
  return {
    program,
    version,
    env: { CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOTOOLCHAIN: 'local', GOROOT: '' },
  }
}

/** GOROOT of the toolchain, made usable as Go's own `toolchain` switch does it: modes and go.mod files put right. */
async function fetchedToolchain(go: string): Promise<string> {
  const platform = PLATFORMS[process.arch]
  if (platform === undefined)
    throw new Error(`there is no Go toolchain for ${process.arch} here: install Go 1.26`)
  const version = `${TOOLCHAIN}.${platform.name}`
  return await cachedFolder('go', version, async (staging) => {
    console.log(`fetching the Go toolchain ${version}`)
    const module = await download(go, version, platform.sum, staging)
    await cp(module, staging, { recursive: true })
    await makeUsable(staging)
  })
}

async function download(go: string, version: string, sum: string, staging: string): Promise<string> {
  const answer = await mustRun(go, ['mod', 'download', '-json', `golang.org/toolchain@${version}`], {
    cwd: staging,
    env: { GOFLAGS: '-modcacherw', GOTOOLCHAIN: 'local' },
  })
  const module = JSON.parse(answer) as { readonly Dir: string; readonly Sum: string }
  if (module.Sum !== sum) throw new Error(`the Go toolchain has the sum ${module.Sum}, expected ${sum}`)
  return module.Dir
}

async function makeUsable(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    if (entry.name === '_go.mod') await rename(file, path.join(entry.parentPath, 'go.mod'))
    const inside = path.relative(root, file)
    if (entry.isFile() && /^(?:bin|pkg\/tool)\//.test(inside)) await chmod(file, 0o755)
  }
}
