/** The whole command tree, in the order of the help. */
import type { CommandSpec, OptionSpec } from './command-spec.ts'
import { APP_COMMANDS } from './tree/apps.ts'
import { HOST_COMMANDS } from './tree/host.ts'
import { IMAGE_COMMANDS } from './tree/images.ts'
import { STATE } from './tree/common.ts'
import { PREFLIGHT_COMMAND } from './tree/preflight.ts'
import { VOLUME_COMMAND } from './tree/volumes.ts'

export const PROGRAM = 'fairlead'
export const SUMMARY =
  'Runs container images and keeps every promise they make: volumes, digests, hooks, data.'

/** A whole command line: its name as users type it, and what it can do. */
export interface CommandTree {
  readonly program: string
  readonly summary: string
  readonly groups: readonly CommandGroup[]
  /** Options that stand before any command. */
  readonly options: readonly OptionSpec[]
  /** They may stand after it as well, as users of kubectl write them. */
  readonly optionsAnywhere: boolean
}

export interface CommandGroup {
  readonly title: string
  readonly commands: readonly CommandSpec[]
}

export const COMMAND_GROUPS: readonly CommandGroup[] = [
  { title: 'Apps on this host', commands: [...APP_COMMANDS, VOLUME_COMMAND] },
  { title: 'Images and files (no state needed)', commands: IMAGE_COMMANDS },
  { title: 'Fairlead itself', commands: [...HOST_COMMANDS, PREFLIGHT_COMMAND] },
]

export const HOST_TREE: CommandTree = {
  program: PROGRAM,
  summary: SUMMARY,
  groups: COMMAND_GROUPS,
  options: [STATE],
  // Commands that have a state declare it themselves.
  optionsAnywhere: false,
}

export interface NamedCommand {
  /** `volumes ls` */
  readonly words: string
  readonly spec: CommandSpec
}

/** Every command that does something, subcommands by their full words. */
export function allCommands(groups: readonly CommandGroup[] = COMMAND_GROUPS): readonly NamedCommand[] {
  return groups.flatMap(({ commands }) => commands).flatMap((spec) => leaves(spec, ''))
}

function leaves(spec: CommandSpec, before: string): readonly NamedCommand[] {
  const words = `${before}${spec.name}`
  return spec.commands === undefined
    ? [{ words, spec }]
    : spec.commands.flatMap((child) => leaves(child, `${words} `))
}
