/**
 * What the controller is busy with, for whoever waits at a terminal. Written over in place a few times a second at the
 * most, never synced, removed at the end: a missing or torn file only means that nothing is shown.
 */
import { rmSync, writeFileSync } from 'node:fs'

export type ProgressPhase = 'Resolving' | 'Pulling' | 'Unpacking' | 'Seeding' | 'Stopping' | 'Starting'

export interface ProgressEvent {
  readonly phase: ProgressPhase
  /** Bytes done and, where known, bytes in all. */
  readonly done?: number
  readonly total?: number
  readonly detail?: string
}

export type ProgressSink = (event: ProgressEvent) => void

const MIN_INTERVAL_MS = 200

/** A sink that overwrites `file`; `end` removes it. */
export function progressFileSink(
  file: string,
  now: () => number,
): { readonly report: ProgressSink; readonly end: () => void } {
  let lastAtMs = 0
  let lastPhase: ProgressPhase | undefined
  return {
    report(event) {
      if (event.phase === lastPhase && now() - lastAtMs < MIN_INTERVAL_MS) return
      lastAtMs = now()
      lastPhase = event.phase
      try {
        writeFileSync(file, JSON.stringify(event), { mode: 0o600 })
      } catch {
        // The app's folder may have gone meanwhile; progress is never worth a failure.
      }
    },
    end() {
      if (lastPhase !== undefined) rmSync(file, { force: true })
    },
  }
}
