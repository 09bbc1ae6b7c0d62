/**
 * The program in the preflight pod: reads its task from the environment, does it, and leaves its report where the
 * kubelet takes the termination message from. Runs in Fairlead's own image, never in the app's.
 */
import { constants, closeSync, openSync, writeFileSync } from 'node:fs'
import type { PreflightReport } from '../reconcile/kubernetes/preflight-task.ts'
import { encodeReport } from './report.ts'
import { errorOf, runPreflight } from './run.ts'
import { parseTask } from './task.ts'
import { toolRunner, type RunTool } from './tools.ts'

export interface PreflightMain {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the report goes; the kubelet's file when undefined. */
  readonly reportFile: string | undefined
  /** Fires at SIGTERM: what is under way is ended, and the report says so. */
  readonly signal: AbortSignal
  /** Takes the report as well, for the container's log. */
  readonly print: (line: string) => void
}

export const REPORT_FILE = '/dev/termination-log'

/** Returns the exit code: 0 when every volume is ready. The report is written in any case. */
export async function preflightMain({ env, reportFile, signal, print }: PreflightMain): Promise<number> {
  const report = await reportOf(env, toolRunner(signal))
  const text = encodeReport(report)
  print(`${text}\n`)
  writeReport(reportFile ?? REPORT_FILE, text)
  return report.error === undefined ? 0 : 1
}

async function reportOf(env: PreflightMain['env'], runTool: RunTool): Promise<PreflightReport> {
  try {
    return await runPreflight(parseTask(env['FAIRLEAD_PREFLIGHT']), runTool)
  } catch (error) {
    return { version: 1, volumes: [], error: errorOf(error) }
  }
}

/** The kubelet made the file; a link in its place would be somebody else's. */
function writeReport(file: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
  const fd = openSync(file, flags, 0o644)
  try {
    writeFileSync(fd, text)
  } finally {
    closeSync(fd)
  }
}
