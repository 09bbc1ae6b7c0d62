/** The three forms of an answer: a table for people, JSON and YAML for programs. */
import { UsageError } from './usage-error.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext, Output } from './context.ts'
import { wrapText } from './table.ts'

export const OUTPUT_FORMATS = ['table', 'json', 'yaml'] as const
export type OutputFormat = (typeof OUTPUT_FORMATS)[number]

/** The declared option; the parser refuses other words before a command runs. */
export const OUTPUT_OPTION = {
  flags: '-o, --output <format>',
  description: 'table (the default), json or yaml',
  choices: OUTPUT_FORMATS,
}

export function outputFormat(call: CommandCall): OutputFormat {
  const text = call.options.text('output') ?? 'table'
  const format = OUTPUT_FORMATS.find((known) => known === text)
  if (format === undefined)
    throw new UsageError(`found ${JSON.stringify(text)}; must be ${OUTPUT_FORMATS.join(', ')}`, '--output')
  return format
}

/**
 * How wide an answer for people may be. One for a pipe or a file is neither cut nor wrapped: `grep` and the next command
 * need whole names and sentences. COLUMNS, where a caller has set it, says otherwise.
 */
export function lineWidth({ stdout, env }: CliContext): number {
  return widthOf(stdout, env)
}

function widthOf(output: Output, env: CliContext['env']): number {
  if (output.isTerminal) return output.columns
  const asked = Number(env['COLUMNS'] ?? '')
  return asked > 0 ? asked : Number.POSITIVE_INFINITY
}

/** Under the first line of a sentence, so that one sees where the next one begins. */
const SET_IN = '  '

/** The lines of one sentence: at most `width` characters each, but for what people copy. As it is where there is room for all. */
export function sentenceLines(sentence: string, width: number): readonly string[] {
  if (Array.from(sentence).length <= width) return [sentence]
  return wrapText(sentence, width - SET_IN.length).map((line, index) =>
    index === 0 ? line : `${SET_IN}${line}`,
  )
}

/** Sentences beside the answer: to standard error, wrapped as answers are. */
export function writeSentences(
  { stderr, env }: Pick<CliContext, 'stderr' | 'env'>,
  sentences: readonly string[],
): void {
  const width = widthOf(stderr, env)
  for (const line of sentences.flatMap((sentence) => sentenceLines(sentence, width)))
    stderr.write(`${line}\n`)
}

/** Writes `value` whole, or what `table` makes of it. */
export async function writeAnswer(
  context: CliContext,
  format: OutputFormat,
  value: unknown,
  table: () => string,
): Promise<void> {
  if (format === 'table') context.stdout.write(table())
  else if (format === 'json') context.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
  else context.stdout.write((await import('../crd/to-yaml.ts')).toYaml(value))
}
