/** The tools that are compared, in the order in which pages show them. */
import { BUILDAH_OVERLAY, BUILDAH_VFS } from './buildah.ts'
import { commandTool } from './command.ts'
import { CONTAINERD } from './containerd.ts'
import { FAIRLEAD } from './fairlead.ts'
import type { Tool } from './tool.ts'
import { UMOCI } from './umoci.ts'
import { UsageError } from '../../usage-error.ts'

export const TOOLS: readonly Tool[] = [FAIRLEAD, UMOCI, BUILDAH_VFS, BUILDAH_OVERLAY, CONTAINERD]

/** A tool by its name, or a command line with `{layout}`, `{tag}` and `{out}`. */
export function toolNamed(name: string): Tool {
  const known = TOOLS.find((tool) => tool.name === name)
  if (known !== undefined) return known
  if (name.includes('{')) return commandTool(name)
  const names = TOOLS.map((tool) => tool.name).join(', ')
  throw new UsageError(`no tool is called ${name}: ${names}, or a command with {layout}, {tag} and {out}`)
}
