/**
 * Programs built from Go modules into the cache: one folder a module, named by the hash of all that it is made from.
 * A module's go.mod and go.sum fix every version, and Go's checksum database vouches for them.
 */
import path from 'node:path'
import { cachedFolder, cacheKey } from './cache.ts'
import type { GoTool } from './go.ts'
import { run } from './run.ts'

export interface GoModule {
  /** Name of the folder in the cache. */
  readonly name: string
  /** Folder of go.mod and go.sum. */
  readonly folder: string
  /** Of `go build`; what `-o` names is put into the cached folder. */
  readonly arguments: readonly string[]
  /** Files besides go.mod and go.sum that the result depends on. */
  readonly sources?: readonly string[]
}

/** Neither symbols nor debug information. */
export const STRIP = '-s -w'
const COMMON_FLAGS = ['-trimpath', '-buildvcs=false']

/** The folder with the programs; built when the cache lacks it. Throws with the end of what `go build` said. */
export async function goModuleFolder(module: GoModule, go: GoTool): Promise<string> {
  const files = ['go.mod', 'go.sum', ...(module.sources ?? [])].map((name) => path.join(module.folder, name))
  const facts = [go.version, ...COMMON_FLAGS, ...module.arguments]
  return await cachedFolder(module.name, await cacheKey(files, facts), (staging) =>
    compile(module, go, staging),
  )
}

/** Go writes what `-o` names; it is built inside the module, so the names are made absolute here. */
async function compile(module: GoModule, go: GoTool, staging: string): Promise<void> {
  console.log(`building ${module.name} with ${go.version}; the first time takes minutes`)
  const started = performance.now()
  const args = module.arguments.map((word, at) =>
    module.arguments[at - 1] === '-o' ? `${staging}/${word === './' ? '' : word}` : word,
  )
  const result = await run(go.program, ['build', ...COMMON_FLAGS, ...args], {
    cwd: module.folder,
    env: go.env,
  })
  if (result.code !== 0)
    throw new Error(`go build of ${module.folder}:\n${result.stderr.trim().slice(-3000)}`)
  console.log(`built ${module.name} in ${Math.round((performance.now() - started) / 1000)} s`)
}
