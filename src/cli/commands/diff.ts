/** `fairlead diff`: two images by content and every attribute. */
import { printable } from '../../errors.ts'
import { diffConfigs, diffTrees, type TreeChange } from '../../rootfs/diff.ts'
import { flattenImage } from '../../rootfs/flatten-image.ts'
import { HashSink } from '../../rootfs/hash-sink.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { referenceOf, withImage } from '../image-source.ts'
import { lineWidth, outputFormat, writeAnswer } from '../output.ts'
import { pullProgress } from '../pull-progress.ts'
import { painter, type Paint, type Style } from '../styles.ts'
import { wrapText } from '../table.ts'

export const diff: RunCommand = async (context, call) => {
  const format = outputFormat(call)
  const references = [referenceOf(call.args[0]), referenceOf(call.args[1])] as const
  const a = await flattened(context, call, references[0])
  const b = await flattened(context, call, references[1])
  const answer = { tree: diffTrees(a.tree, b.tree), config: diffConfigs(a.config, b.config) }
  await writeAnswer(context, format, answer, () =>
    diffLines(answer, lineWidth(context), painter(context, context.stdout)),
  )
}

/** The merged tree in memory, with a digest for each file's content. */
function flattened(context: CliContext, call: CommandCall, reference: ReturnType<typeof referenceOf>) {
  return withImage(context, call, reference, async ({ image, source, config }) => {
    const progress = pullProgress(context, printable(reference.original))
    try {
      const { tree } = await flattenImage({
        source,
        manifest: image.manifest,
        config: image.config,
        limits: config.limits,
        sink: new HashSink(),
        signal: context.signal,
        onProgress: progress.report,
      })
      return { tree, config: image.config }
    } finally {
      progress.end()
    }
  })
}

interface Answer {
  readonly tree: readonly TreeChange[]
  readonly config: readonly string[]
}

const MARKS: Readonly<Record<TreeChange['change'], readonly [string, Style]>> = {
  added: ['+', 'good'],
  removed: ['-', 'bad'],
  modified: ['~', 'warn'],
}

/** Paths are never cut: they are the answer. */
function diffLines({ tree, config }: Answer, width: number, paint: Paint): string {
  if (tree.length === 0 && config.length === 0) return 'no difference\n'
  const changes = tree.map(({ path, change, fields }) => {
    const [mark, style] = MARKS[change]
    return `${paint(style, mark)} ${printable(path, 4096)}${fields.length === 0 ? '' : ` (${fields.join(', ')})`}\n`
  })
  const settings = config.flatMap((line) =>
    wrapText(printable(line, 1000), width - 2).map((part) => `  ${part}\n`),
  )
  return `${changes.join('')}${settings.length === 0 ? '' : `${changes.length === 0 ? '' : '\n'}Configuration\n${settings.join('')}`}`
}
