/** `fairlead diff`: images, folders, roots of running apps and volumes, by content and every attribute. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { printable } from '../../errors.ts'
import { withoutFolderTimes } from '../../rootfs/diff.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { diffAnswer, type DiffAnswer } from '../diff-answer.ts'
import { diffPage } from '../diff-page.ts'
import { readOwnImage, readSide } from '../diff-read.ts'
import { diffSideOf, isImageText } from '../diff-side.ts'
import { lineWidth, outputFormat, writeAnswer, writeSentences } from '../output.ts'
import { EXIT_DIFF_FAILED, EXIT_DIFFERENT, printError } from '../print-error.ts'
import { painter } from '../styles.ts'
import { UsageError } from '../usage-error.ts'

/** Lines of files on a terminal: a few pages. */
const TERMINAL_LIMIT = 200

export const diff: RunCommand = async (context, call) => {
  if (!call.options.flag('exitCode')) {
    await compare(context, call)
    return 0
  }
  try {
    return EXIT_CODES[await compare(context, call)]
  } catch (error) {
    // 1 is an answer here, so a failure needs another code.
    return printError(context, error, EXIT_DIFF_FAILED)
  }
}

/** With `--exit-code`; 0 says that all is equal, so it must have been looked at. */
const EXIT_CODES = { equal: 0, different: EXIT_DIFFERENT, unknown: EXIT_DIFF_FAILED } as const

async function compare(context: CliContext, call: CommandCall): Promise<keyof typeof EXIT_CODES> {
  const format = outputFormat(call)
  // 0 would hide every name.
  const limit = call.options.count('limit', 1)
  refuseIdleRules(call)
  for (const text of call.args) await noteFolder(context, text)
  const found = await answerOf(context, call)
  if (format === 'table') noteConfiguration(context, call)
  const read = { ...found, notes: [...found.notes, ...(await rootfsNotes(context, call, found))] }
  // People and programs are told the same, and the exit code is about no more than that.
  const answer = call.options.flag('times') ? read : { ...read, tree: withoutFolderTimes(read.tree) }
  if (format === 'table')
    writeSentences(
      context,
      answer.notes.map((note) => `note: ${note}`),
    )
  await writeAnswer(context, format, answer, () =>
    diffPage(answer, {
      width: lineWidth(context),
      limit: limit ?? (context.stdout.isTerminal ? TERMINAL_LIMIT : Infinity),
      paint: painter(context, context.stdout),
    }),
  )
  if (answer.tree.length > 0 || answer.config.length > 0) return 'different'
  return answer.unread.length > 0 ? 'unknown' : 'equal'
}

/** What would change nothing was not meant so. */
function refuseIdleRules(call: CommandCall): void {
  if (call.options.text('layerSemantics') === undefined) return
  if (call.args.some((text) => diffSideOf(call, text).kind === 'image')) return
  throw new UsageError(
    'only an image that is named here is merged by other rules; an app or a volume is compared with its image as it was merged for the app',
    '--layer-semantics',
  )
}

/** Of an app only the files are read: how it runs is the resource's word as well as the image's. */
function noteConfiguration(context: CliContext, call: CommandCall): void {
  const kinds = call.args.map((text) => diffSideOf(call, text).kind)
  if (kinds.includes('app') && kinds.includes('image'))
    writeSentences(context, ['note: only files are compared; the configuration of the image is left out'])
}

/** Said before a registry is asked, which may take its time and knows an image of that name or not. */
async function noteFolder(context: CliContext, text: string): Promise<void> {
  if (!isImageText(text) || !(await isFolder(resolve(context.cwd, text)))) return
  const shown = printable(text, 300)
  writeSentences(context, [`note: ${shown} is taken for an image; the folder of that name is ./${shown}`])
}

/** Whatever can't be looked at is no folder that anybody meant. */
async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
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

/** Of a folder that `unpack` made, or of a bundle: the tree is one further down. */
async function rootfsNotes(
  context: CliContext,
  call: CommandCall,
  { tree }: DiffAnswer,
): Promise<readonly string[]> {
  if (!tree.some(({ path, change }) => path === '/rootfs' && change !== 'modified')) return []
  const notes: string[] = []
  for (const text of call.args) {
    if (diffSideOf(call, text).kind !== 'folder') continue
    const inner = join(text, 'rootfs')
    if (await isFolder(resolve(context.cwd, inner)))
      notes.push(
        `${printable(text, 300)} has a folder rootfs; if the tree is in it, compare with ${shownFolder(text)}`,
      )
  }
  return notes
}

/** `join` would take the `./` away, without which it is an image. */
function shownFolder(text: string): string {
  return `${printable(text.replace(/\/+$/, ''), 300)}/rootfs`
}
