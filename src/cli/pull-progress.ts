/** Progress of an image that a command reads layer by layer. */
import type { CliContext } from './context.ts'
import { progressView } from './progress-view.ts'

const MIN_INTERVAL_MS = 200

export interface PullProgress {
  readonly report: (done: number, total: number) => void
  readonly end: () => void
}

/** Shown on a terminal only, and only when it takes long enough to be seen. */
export function pullProgress(context: CliContext, name: string): PullProgress {
  if (!context.stderr.isTerminal) return { report: () => undefined, end: () => undefined }
  const view = progressView(context)
  let lastAtMs = context.now()
  return {
    report(done, total) {
      if (context.now() - lastAtMs < MIN_INTERVAL_MS) return
      lastAtMs = context.now()
      view.show([{ name, progress: { phase: 'Pulling', done, total }, waiting: '' }])
    },
    end: () => view.clear(),
  }
}
