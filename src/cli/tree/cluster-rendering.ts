/** Options that say how a cluster's controller renders, where no controller is asked. */
import type { OptionSpec } from '../command-spec.ts'

export const POD_SECURITY_LEVELS = ['privileged', 'baseline', 'restricted'] as const

export const CLUSTER_RENDERING: readonly OptionSpec[] = [
  {
    flags: '--pod-security <level>',
    description: "what the app's namespace enforces (default: privileged, as without a label)",
    choices: POD_SECURITY_LEVELS,
  },
  {
    flags: '--default-volume-size <size>',
    description: "the controller's size of a claim for which nobody named one (default: 10Gi)",
    kind: 'text',
  },
  {
    flags: '--registries-config <file>',
    description: "the controller's file of mirrors, CAs and layouts of registries",
    kind: 'file',
  },
]

export const PREFLIGHT_RENDERING: readonly OptionSpec[] = [
  { flags: '--preflight', description: 'print the preflight pod of a first apply as well' },
  {
    flags: '--preflight-image <image>',
    description: "image of the preflight pod, the controller's own; needed with --preflight",
    kind: 'reference',
  },
  {
    flags: '--image-volumes <answer>',
    description: 'whether the nodes can mount images: yes or no (the default)',
    choices: ['yes', 'no'],
  },
]

/** For a command that serves both engines. */
export function forKubernetes(options: readonly OptionSpec[]): readonly OptionSpec[] {
  return options.map((option) => ({ ...option, description: `kubernetes: ${option.description}` }))
}
