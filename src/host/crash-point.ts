/**
 * Fail points for the crash sweep: with FAIRLEAD_CRASH_AFTER_WRITE=n the process kills itself (SIGKILL, nothing is
 * flushed) right after its n-th durable write. Without the variable this costs one comparison.
 */
const crashAfter = Number(process.env['FAIRLEAD_CRASH_AFTER_WRITE'] ?? '0')
let writes = 0

/** Call after every durable change. `what` names it in the trace that the sweep reads. */
export function crashPoint(what: string): void {
  if (crashAfter === 0) return
  writes += 1
  if (writes === crashAfter) {
    process.stderr.write(`crash point ${writes}: ${what}\n`)
    process.kill(process.pid, 'SIGKILL')
  }
}
