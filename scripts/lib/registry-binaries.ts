/**
 * Registry programs that Debian does not have, built from the Go modules of test/conformance/registry/modules into the
 * cache: the clients crane and regctl, and the distribution registry 3.
 */
import path from 'node:path'
import { goModuleFolder, STRIP } from './go-module.ts'
import { goTool } from './go.ts'
import type { GoTool } from './go.ts'

/** Absolute paths. */
export interface RegistryBinaries {
  readonly crane: string
  readonly regctl: string
  /** The distribution registry 3. */
  readonly registry: string
}

const MODULES = path.join(import.meta.dirname, '../../test/conformance/registry/modules')

let built: Promise<RegistryBinaries> | undefined

/** Builds what the cache lacks (about a minute when it lacks all), one module after the other. */
export function registryBinaries(): Promise<RegistryBinaries> {
  built ??= build()
  return built
}

async function build(): Promise<RegistryBinaries> {
  const go = await goTool()
  return {
    crane: await program('crane', 'crane', go),
    regctl: await program('regctl', 'regctl', go),
    registry: await program('distribution', 'registry', go),
  }
}

async function program(module: string, name: string, go: GoTool): Promise<string> {
  const folder = await goModuleFolder(
    {
      name: `registry-${module}`,
      folder: path.join(MODULES, module),
      arguments: ['-ldflags', STRIP, '-o', './', 'tool'],
    },
    go,
  )
  return path.join(folder, name)
}
