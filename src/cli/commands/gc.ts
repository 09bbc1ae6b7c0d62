/** `fairlead gc`: removes images that no app needs from the state folder, and damaged ones. Volumes are never touched. */
import { collectGarbage, type CollectReport } from '../../engine/local/gc/collect.ts'
import { readConfig } from '../../engine/local/config.ts'
import type { VerifyReport } from '../../engine/local/verify/verify-store.ts'
import { sizeOf } from '../ages.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { damageLines, gcSummary, gcTable } from '../gc-view.ts'
import { lineWidth, outputFormat, writeAnswer, writeSentences } from '../output.ts'
import { EXIT_FAILED } from '../print-error.ts'
import { statePathsOf } from '../state-folder.ts'
import { storeProgress, type StoreProgress } from '../store-progress.ts'

export const gc: RunCommand = async (context, call) => {
  const progress = storeProgress(context, 'gc')
  try {
    const verified = call.options.flag('verify') ? await verify(context, call, progress) : undefined
    const report = await collect(context, call, progress, verified)
    progress.end()
    await writeAnswer(context, outputFormat(call), { ...report, ...(verified && { verified }) }, () =>
      [
        call.options.flag('verbose') ? gcTable(report, lineWidth(context)) : '',
        verified === undefined ? '' : damageLines(verified, report.dryRun, lineWidth(context)),
        gcSummary(report),
      ].join(''),
    )
    writeSentences(
      context,
      report.problems.map(({ reason, message }) => `${reason}: ${message}`),
    )
    const isSound = report.problems.length === 0 && (verified?.damaged ?? []).length === 0
    return isSound ? 0 : EXIT_FAILED
  } finally {
    progress.end()
  }
}

async function verify(
  context: CliContext,
  call: CommandCall,
  progress: StoreProgress,
): Promise<VerifyReport> {
  const { verifyStore } = await import('../../engine/local/verify/verify-store.ts')
  return verifyStore({
    paths: statePathsOf(context, call),
    limits: readConfig().limits,
    signal: context.signal,
    onProgress: (what, bytes) =>
      progress.report(`checking ${what}${bytes === 0 ? '' : `, ${sizeOf(bytes)}`}`),
  })
}

function collect(
  context: CliContext,
  call: CommandCall,
  progress: StoreProgress,
  verified: VerifyReport | undefined,
): Promise<CollectReport> {
  return collectGarbage({
    paths: statePathsOf(context, call),
    dryRun: call.options.flag('dryRun'),
    damaged: new Set(verified?.damaged.map(({ path }) => path)),
    signal: context.signal,
    now: context.now,
    onProgress: (done, total) => progress.report(`removed ${done} of ${total}`),
  })
}
