/**
 * Commands as data: the parser, the help, the shell completions and `docs/commands.md` are all made from it. What a
 * command does is imported only when it is run, so that `--help` and `status` start fast.
 */
import type { CliContext } from './context.ts'
import type { OptionValues } from './option-values.ts'

/** Runs one command; the result is the exit code, 0 when there is none. */
export type RunCommand = (context: CliContext, call: CommandCall) => Promise<number | void>

/** What the user typed, parsed. */
export interface CommandCall {
  readonly args: readonly string[]
  readonly options: OptionValues
}

/** What a word stands for: shells complete it. */
export type WordKind = 'app' | 'compared' | 'file' | 'folder' | 'reference' | 'text' | 'volume'

export interface ArgumentSpec {
  /** `name` is required, `[name]` optional, `name...` takes the rest. */
  readonly name: string
  readonly description: string
  readonly kind: WordKind
}

export interface OptionSpec {
  /** As commander writes them: `-f, --file <file...>`, `--no-wait`. */
  readonly flags: string
  readonly description: string
  readonly kind?: WordKind
  readonly choices?: readonly string[]
  readonly required?: boolean
}

export interface ExampleSpec {
  /** Without the program's name. */
  readonly words: string
  readonly says: string
}

export interface CommandSpec {
  readonly name: string
  /** One line, in the list of commands. */
  readonly summary: string
  /** Paragraphs below it, in the command's own help. */
  readonly details?: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  readonly examples?: readonly ExampleSpec[]
  readonly commands?: readonly CommandSpec[]
  /** Refused for other users before anything is done. */
  readonly needsRoot?: boolean
  /** Says when root is not needed after all, for a command with `needsRoot`. */
  readonly spareRoot?: (options: OptionValues) => boolean
  /** Everything after the first argument belongs to the argument, also what looks like an option. */
  readonly passThrough?: boolean
  readonly hidden?: boolean
  /** Exit code of a failure, for a command whose 1 is an answer. */
  readonly failureCode?: number
  readonly load?: () => Promise<RunCommand>
}
