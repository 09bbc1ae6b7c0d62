/** One line that says what an app is waiting for. Pure. */
import type { ProgressEvent, ProgressPhase } from '../engine/local/progress.ts'
import { printable } from '../errors.ts'
import { sizeOf } from './ages.ts'
import { cutText } from './table.ts'

export type { ProgressEvent }
export const PROGRESS_PHASES: readonly ProgressPhase[] = [
  'Resolving',
  'Pulling',
  'Unpacking',
  'Seeding',
  'Stopping',
  'Starting',
]

const BAR_WIDTH = 20

/** `name: Pulling [######..............] 12.0 MiB of 80.0 MiB`, at most `width` characters. */
export function progressLine(
  name: string,
  progress: ProgressEvent | undefined,
  waiting: string,
  width: number,
): string {
  const words = progress === undefined ? waiting : eventWords(progress, width >= 72)
  return cutText(`${name}: ${words}`, width, 'end')
}

/** Without the numbers that grow: for logs, where only a change of phase is a line. */
export function phaseLine(name: string, progress: ProgressEvent | undefined, waiting: string): string {
  if (progress === undefined) return `${name}: ${waiting}`
  const { phase, detail } = progress
  return `${name}: ${phase}${detail === undefined ? '' : ` ${printable(detail)}`}`
}

function eventWords({ phase, done, total, detail }: ProgressEvent, withBar: boolean): string {
  const parts: string[] = [phase]
  if (withBar && done !== undefined && total !== undefined && total > 0) parts.push(barOf(done / total))
  if (done !== undefined)
    parts.push(total === undefined ? sizeOf(done) : `${sizeOf(done)} of ${sizeOf(total)}`)
  if (detail !== undefined) parts.push(printable(detail))
  return parts.join(' ')
}

function barOf(ratio: number): string {
  const full = Math.round(Math.min(Math.max(ratio, 0), 1) * BAR_WIDTH)
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_WIDTH - full)}]`
}
