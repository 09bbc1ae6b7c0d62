/** `fairlead diff`: images, folders, roots of running apps and volumes, by content and every attribute. */
import { withoutFolderTimes } from '../../rootfs/diff.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { diffAnswer, type DiffAnswer } from '../diff-answer.ts'
import { diffPage } from '../diff-page.ts'
import { readOwnImage, readSide } from '../diff-read.ts'
import { diffSideOf } from '../diff-side.ts'
import { lineWidth, outputFormat, writeAnswer } from '../output.ts'
import { EXIT_DIFF_FAILED, EXIT_DIFFERENT, printError } from '../print-error.ts'
import { painter } from '../styles.ts'

/** Lines of files on a terminal: a few pages. */
const TERMINAL_LIMIT = 200

export const diff: RunCommand = async (context, call) => {
  if (!call.options.flag('exitCode')) {
    await compare(context, call)
    return 0
  }
  try {
    return (await compare(context, call)) ? EXIT_DIFFERENT : 0
  } catch (error) {
    // 1 is an answer here, so a failure needs another code.
    return printError(context, error, EXIT_DIFF_FAILED)
  }
}

/** Whether there are differences. */
async function compare(context: CliContext, call: CommandCall): Promise<boolean> {
  const format = outputFormat(call)
  const answer = await answerOf(context, call)
  const counted = call.options.flag('times') ? answer.tree : withoutFolderTimes(answer.tree)
  if (format === 'table') for (const note of answer.notes) context.stderr.write(`note: ${note}\n`)
  await writeAnswer(context, format, answer, () =>
    diffPage(
      { tree: counted, config: answer.config },
      {
        width: lineWidth(context),
        limit: call.options.count('limit') ?? (context.stdout.isTerminal ? TERMINAL_LIMIT : Infinity),
        paint: painter(context, context.stdout),
      },
    ),
  )
  return counted.length > 0 || answer.config.length > 0
}

async function answerOf(context: CliContext, call: CommandCall): Promise<DiffAnswer> {
  const reader = { context, call }
  const [first, second] = call.args.map((text) => diffSideOf(call, text))
  if (first === undefined) throw new Error('unreachable: the parser requires it')
  // One after the other: each takes memory and a core while it is read.
  if (second === undefined) {
    const own = await readOwnImage(reader, first)
    return diffAnswer(own, await readSide(reader, first))
  }
  const a = await readSide(reader, first)
  return diffAnswer(a, await readSide(reader, second))
}
