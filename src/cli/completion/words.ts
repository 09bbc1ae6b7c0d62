/** What shells need of the command tree: for each command its words, options and what follows them. */
import type { CommandSpec, OptionSpec, WordKind } from '../command-spec.ts'
import { allCommands, COMMAND_GROUPS } from '../commands.ts'

export interface CompletedOption {
  /** `-f` and `--file`. */
  readonly names: readonly string[]
  readonly description: string
  /** What its value is; undefined for a switch. */
  readonly value: ValueWords | undefined
}

export type ValueWords = { readonly choices: readonly string[] } | { readonly kind: WordKind }

export interface CompletedCommand {
  /** `volumes ls` */
  readonly words: string
  readonly summary: string
  readonly options: readonly CompletedOption[]
  /** Of the arguments in order; the last one repeats where it takes the rest. */
  readonly argumentKinds: readonly WordKind[]
  readonly repeatsLast: boolean
}

const HELP: CompletedOption = { names: ['-h', '--help'], description: 'show this help', value: undefined }
const SHELLS = ['bash', 'zsh', 'fish']

/** The visible commands that do something. */
export function completedCommands(): readonly CompletedCommand[] {
  return allCommands()
    .filter(({ spec }) => spec.hidden !== true)
    .map(({ words, spec }) => ({
      words,
      summary: spec.summary,
      options: [...(spec.options ?? []).map(completedOption), HELP],
      argumentKinds: (spec.arguments ?? []).map(({ kind }) => kind),
      repeatsLast: (spec.arguments ?? []).at(-1)?.name.includes('...') === true,
    }))
}

/** First words with their summaries, commands that only group others included. */
export function firstWords(): readonly Pick<CommandSpec, 'name' | 'summary'>[] {
  return COMMAND_GROUPS.flatMap(({ commands }) => commands).filter(({ hidden }) => hidden !== true)
}

/** Second words of a command that groups others. */
export function secondWords(first: string): readonly Pick<CommandSpec, 'name' | 'summary'>[] {
  return COMMAND_GROUPS.flatMap(({ commands }) => commands).find(({ name }) => name === first)?.commands ?? []
}

/** Fixed words for an argument; undefined when they depend on what is there. */
export function argumentChoices(command: CompletedCommand): readonly string[] | undefined {
  return command.words === 'completion' ? SHELLS : undefined
}

function completedOption({ flags, description, choices, kind }: OptionSpec): CompletedOption {
  const takesValue = flags.includes('<')
  const names = flags.split(/[ ,]+/).filter((word) => word.startsWith('-'))
  if (!takesValue) return { names, description, value: undefined }
  return { names, description, value: choices === undefined ? { kind: kind ?? 'text' } : { choices } }
}
