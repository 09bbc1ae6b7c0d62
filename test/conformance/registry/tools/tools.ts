/** The tools by name. */
import { UsageError } from '../../usage-error.ts'
import { craneTool } from './crane.ts'
import { customTool } from './custom.ts'
import { fairlead } from './fairlead.ts'
import { regctlTool } from './regctl.ts'
import { skopeo } from './skopeo.ts'
import type { Tool } from './tool.ts'

export const TOOL_NAMES = ['fairlead', 'crane', 'skopeo', 'regctl'] as const

/** By name, or a command with `{ref}` in it. */
export async function toolNamed(name: string): Promise<Tool> {
  switch (name) {
    case 'fairlead':
      return fairlead
    case 'crane':
      return await craneTool()
    case 'skopeo':
      return skopeo
    case 'regctl':
      return await regctlTool()
    default:
      if (name.includes('{ref}')) return customTool(name)
      throw new UsageError(
        `${name} is no tool; must be ${TOOL_NAMES.join(', ')} or a command with {ref} in it`,
      )
  }
}
