/** `fairlead unpack`: an image's merged tree in a folder, as a bundle if wanted. */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { hostTree } from '../../engine/local/host-tree.ts'
import { unpackImage, type UnpackReport } from '../../engine/local/unpack/unpack-image.ts'
import { printable } from '../../errors.ts'
import type { ResolvedImage } from '../../image/types.ts'
import { divergenceText } from '../../rootfs/divergences.ts'
import { plainBundle } from '../plain-bundle.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { layerSemanticsOf } from '../layer-semantics.ts'
import { referenceOf, withImage, type OpenImage } from '../image-source.ts'
import { writeSentences } from '../output.ts'
import { issueLine } from '../print-error.ts'
import { pullProgress } from '../pull-progress.ts'
import { requireReportFile, STANDARD_OUTPUT, writeReport } from '../report-file.ts'
import { sizeOf } from '../ages.ts'

export const unpack: RunCommand = async (context, call) => {
  const reference = referenceOf(call.args[0])
  const dir = resolve(context.cwd, call.args[1] ?? '')
  const named = call.options.text('report')
  const isPiped = named === STANDARD_OUTPUT
  const file = named === undefined || isPiped ? undefined : resolve(context.cwd, named)
  if (file !== undefined) await requireReportFile(file, dir)
  const report = await withImage(context, call, reference, (open) => unpackTo(context, call, open, dir))
  if (file !== undefined) await writeReport(file, report)
  if (isPiped) context.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
  const shown = printable(join(dir, 'rootfs'), 500)
  const output = isPiped ? context.stderr : context.stdout
  output.write(`${shown}: ${entryWords(report.entries)}, ${sizeOf(report.bytes)}\n`)
  const where = named === undefined ? '--report' : 'the report'
  if (report.dropped.length > 0) {
    const left = `${entryWords(report.dropped.length)} ${report.dropped.length === 1 ? 'was' : 'were'} left out`
    writeSentences(context, [`${left}; ${where} says which and why`])
  }
  const divergence = divergenceText(report.divergences)
  if (divergence !== undefined) writeSentences(context, [`${divergence}; ${where} lists all that was found`])
}

async function unpackTo(
  context: CliContext,
  call: CommandCall,
  { image, source, config }: OpenImage,
  dir: string,
): Promise<UnpackReport> {
  const progress = pullProgress(context, printable(image.reference.original))
  try {
    return await unpackImage({
      source,
      manifest: image.manifest,
      config: image.config,
      limits: config.limits,
      semantics: layerSemanticsOf(call),
      dir,
      signal: context.signal,
      onProgress: progress.report,
      writeReport: false,
      ...(call.options.flag('bundle')
        ? { beforePublish: (staging: string) => writeBundle(context, image, staging) }
        : {}),
    })
  } finally {
    progress.end()
  }
}

async function writeBundle(context: CliContext, image: ResolvedImage, staging: string): Promise<void> {
  const { spec, warnings } = plainBundle(image, hostTree(join(staging, 'rootfs')))
  writeSentences(context, warnings.map(issueLine))
  await writeFile(join(staging, 'config.json'), `${JSON.stringify(spec, undefined, 2)}\n`)
}

function entryWords(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`
}
