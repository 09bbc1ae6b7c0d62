/** Writes down the answer: JSON of at most 1 KiB, since a termination message beyond 4 KiB is cut, and 12 share them. */
import type { PreflightReport } from '../reconcile/kubernetes/preflight-task.ts'

export const MAX_REPORT_BYTES = 1024

type ReportError = NonNullable<PreflightReport['error']>

/** The report as JSON that fits, whatever its messages are: these are cut first, then left out. */
export function encodeReport(report: PreflightReport): string {
  for (const smaller of smallerReports(report)) {
    const text = JSON.stringify(smaller)
    if (Buffer.byteLength(text) <= MAX_REPORT_BYTES) return text
  }
  const message = `the report on ${report.volumes.length} volumes does not fit into ${MAX_REPORT_BYTES} bytes`
  return JSON.stringify({ version: 1, volumes: [], error: { reason: 'InternalError', message } })
}

/** The same report with less and less text in it. What happened to each volume is never left out. */
function* smallerReports(report: PreflightReport): Generator<PreflightReport> {
  yield report
  const { version, volumes, error, note } = report
  for (const chars of [400, 200, 100, 50, 20]) {
    yield {
      version,
      volumes,
      ...(error === undefined ? {} : { error: shortened(error, chars) }),
      ...(note === undefined ? {} : { note: cut(note, chars) }),
    }
  }
  yield { version, volumes, ...(error === undefined ? {} : { error: { ...error, message: '' } }) }
  if (error !== undefined) yield { version, volumes, error: { reason: error.reason, message: '' } }
}

/** The volume's path is cut as well when the sentence has to be very short: a key that is cut is no key, so it goes. */
function shortened({ reason, message, path }: ReportError, chars: number): ReportError {
  const keepsPath = path !== undefined && (chars >= 100 || path.length <= chars)
  return { reason, message: cut(message, chars), ...(keepsPath ? { path } : {}) }
}

/** By characters, not UTF-16 units: half of a surrogate pair is not UTF-8. */
function cut(text: string, chars: number): string {
  const all = Array.from(text)
  return all.length > chars ? `${all.slice(0, chars - 1).join('')}…` : text
}
