/** Undoes what the demo did, last thing first, however it ends: done, failed or interrupted. */
export class Cleanup {
  readonly #steps: { readonly what: string; readonly undo: () => Promise<unknown> }[] = []
  #running: Promise<void> | undefined

  /** Remembers how to undo something; call it before or right after doing it. */
  add(what: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ what, undo })
  }

  /** Runs all steps once; one that fails is named and does not keep the others from running. */
  run(): Promise<void> {
    this.#running ??= this.#undoAll()
    return this.#running
  }

  /** On SIGINT, SIGTERM or SIGHUP: clean up, then die of that signal as the shell expects. */
  onSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        void this.run().finally(() => process.kill(process.pid, signal))
      })
    }
  }

  async #undoAll(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo()
      } catch (error) {
        console.error(
          `demo: could not clean up ${step.what}: ${error instanceof Error ? error.message : String(error)}`,
        )
      }
    }
  }
}
