/** `fairlead gc`: removes images that no app needs from the state folder. Volumes are never touched. */
import { collectGarbage, type CollectReport } from '../../engine/local/gc/collect.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { gcSummary, gcTable } from '../gc-view.ts'
import { lineWidth, outputFormat, writeAnswer } from '../output.ts'
import { EXIT_FAILED } from '../print-error.ts'
import { statePathsOf } from '../state-folder.ts'
import { storeProgress } from '../store-progress.ts'

export const gc: RunCommand = async (context, call) => {
  const report = await collect(context, call)
  await writeAnswer(context, outputFormat(call), report, () => {
    const table = call.options.flag('verbose') ? gcTable(report, lineWidth(context)) : ''
    return `${table}${gcSummary(report)}`
  })
  for (const { reason, message } of report.problems) context.stderr.write(`${reason}: ${message}\n`)
  return report.problems.length > 0 ? EXIT_FAILED : 0
}

async function collect(context: CliContext, call: CommandCall): Promise<CollectReport> {
  const progress = storeProgress(context, 'gc')
  try {
    return await collectGarbage({
      paths: statePathsOf(context, call),
      dryRun: call.options.flag('dryRun'),
      signal: context.signal,
      now: context.now,
      onProgress: (done, total) => progress.report(`removed ${done} of ${total}`),
    })
  } finally {
    progress.end()
  }
}
