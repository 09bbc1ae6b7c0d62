/** The whole command tree, in the order of the help. */
import type { CommandSpec } from './command-spec.ts'
import { APP_COMMANDS } from './tree/apps.ts'
import { HOST_COMMANDS } from './tree/host.ts'
import { IMAGE_COMMANDS } from './tree/images.ts'
import { VOLUME_COMMAND } from './tree/volumes.ts'

export const PROGRAM = 'fairlead'
export const SUMMARY =
  'Runs container images and keeps every promise they make: volumes, digests, hooks, data.'

export interface CommandGroup {
  readonly title: string
  readonly commands: readonly CommandSpec[]
}

export const COMMAND_GROUPS: readonly CommandGroup[] = [
  { title: 'Apps on this host', commands: [...APP_COMMANDS, VOLUME_COMMAND] },
  { title: 'Images and files (no state needed)', commands: IMAGE_COMMANDS },
  { title: 'Fairlead itself', commands: HOST_COMMANDS },
]

export interface NamedCommand {
  /** `volumes ls` */
  readonly words: string
  readonly spec: CommandSpec
}

/** Every command that does something, subcommands by their full words. */
export function allCommands(): readonly NamedCommand[] {
  return COMMAND_GROUPS.flatMap(({ commands }) => commands).flatMap((spec) => leaves(spec, ''))
}

function leaves(spec: CommandSpec, before: string): readonly NamedCommand[] {
  const words = `${before}${spec.name}`
  return spec.commands === undefined
    ? [{ words, spec }]
    : spec.commands.flatMap((child) => leaves(child, `${words} `))
}
