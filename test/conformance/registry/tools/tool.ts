/** What the runner needs of a tool: which command answers a question, and how to read what it brought. */
import type { Ask, Case, Feature, Setup } from '../case.ts'
import type { Brought } from '../verdict.ts'

export interface Question {
  readonly ask: Ask
  /** As the user types it. */
  readonly reference: string
  readonly setup: Setup
  readonly artifactType: string | undefined
  /** A folder of its own: HOME, with the credentials file in place. */
  readonly home: string
  /** A folder that does not exist yet, for what is pulled. */
  readonly target: string
  /** PEM file of the kit's authority. */
  readonly caFile: string
  readonly client: { readonly certFile: string; readonly keyFile: string }
}

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Written below HOME before the start, by relative path. */
  readonly files?: Readonly<Record<string, string>>
}

export interface Tool {
  readonly name: string
  readonly asks: readonly Ask[]
  readonly features: readonly Feature[]
  version(): Promise<string>
  command(question: Question): Command
  /** Of a command that ended well. May throw: an answer that cannot be read is none. */
  read(question: Question, stdout: string): Brought
}

/** What the tool lacks for a case, in words; undefined when it can be asked. */
export function lacking(tool: Tool, one: Case): string | undefined {
  if (!tool.asks.includes(one.ask)) return `has no command for ${one.ask}`
  const missing = (one.needs ?? []).find((feature) => !tool.features.includes(feature))
  return missing === undefined ? undefined : `has no ${missing.replaceAll('-', ' ')}`
}

/** One digest on a line of its own, or none. */
export function digestsIn(stdout: string): readonly string[] {
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^[a-z0-9]+:[0-9a-f]{32,}$/.test(line))
}

export function linesOf(stdout: string): readonly string[] {
  return stdout.split('\n').filter((line) => line !== '')
}
