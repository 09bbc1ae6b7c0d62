/** One updating line on a terminal for work on the image store that takes longer than a second. */
import type { CliContext } from './context.ts'
import { progressView } from './progress-view.ts'

const FIRST_AFTER_MS = 1000
const INTERVAL_MS = 200

export interface StoreProgress {
  readonly report: (words: string) => void
  readonly end: () => void
}

/** `name` stands before what is reported. */
export function storeProgress(context: CliContext, name: string): StoreProgress {
  if (!context.stderr.isTerminal) return { report: () => undefined, end: () => undefined }
  const view = progressView(context)
  let nextMs = context.now() + FIRST_AFTER_MS
  return {
    report(words) {
      if (context.now() < nextMs) return
      nextMs = context.now() + INTERVAL_MS
      view.show([{ name, progress: undefined, waiting: words }])
    },
    end: () => view.clear(),
  }
}
