/** Waits until apps are where a command wanted them, shows progress, and says how each of them ended. */
import { LocalAppStore } from '../engine/local/app-store.ts'
import { appPaths, type StatePaths } from '../engine/local/paths.ts'
import { printable } from '../errors.ts'
import { canonicalJson } from '../reconcile/canonical-json.ts'
import { probeApp } from './app-probe.ts'
import { shortName } from './app-view.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { judge, type Expectation, type Verdict } from './expectation.ts'
import { progressView, type ProgressRow } from './progress-view.ts'
import { waitLoop } from './wait-loop.ts'

export const DEFAULT_WAIT_MS = 5 * 60_000

export interface WaitedApp {
  readonly expected: Expectation
  readonly verdict: Verdict
}

/** The apps with their verdicts; interrupted or timed out ones are still `waiting`. */
export async function waitForApps(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
  expectations: readonly Expectation[],
): Promise<{ readonly apps: readonly WaitedApp[]; readonly interrupted: boolean }> {
  const apps = new LocalAppStore(paths)
  const view = progressView(context)
  const waits = expectations.map((expected) => new AppWait(paths, apps, expected))
  try {
    const end = await waitLoop({
      context,
      call,
      paths,
      timeoutMs: call.options.durationMs('waitTimeout', DEFAULT_WAIT_MS),
      folders: expectations.map(({ key }) => appPaths(paths, key).dir),
      look: async (controllerSinceMs) => {
        for (const wait of waits) await wait.look(controllerSinceMs)
        view.show(waits.map((wait) => wait.row()))
        return waits.every((wait) => wait.verdict.kind !== 'waiting')
      },
    })
    return {
      apps: waits.map(({ expected, verdict }) => ({ expected, verdict })),
      interrupted: end === 'interrupted',
    }
  } finally {
    view.clear()
  }
}

/** `Progressing` says nothing that the sentence does not. */
function waitingWords({ reason, message }: { readonly reason: string; readonly message: string }): string {
  return reason === 'Progressing' ? printable(message) : `${reason}: ${printable(message)}`
}

class AppWait {
  readonly expected: Expectation
  readonly #paths: StatePaths
  readonly #apps: LocalAppStore
  verdict: Verdict = { kind: 'waiting', reason: 'Progressing', message: 'waits for the controller' }
  #progress: ProgressRow['progress']
  #fingerprint = ''
  #changedAtMs = performance.now()

  constructor(paths: StatePaths, apps: LocalAppStore, expected: Expectation) {
    this.#paths = paths
    this.#apps = apps
    this.expected = expected
  }

  /** A verdict once reached stays: a later crash of one app must not hide that another one is ready. */
  async look(controllerSinceMs: number): Promise<void> {
    if (this.verdict.kind !== 'waiting') return
    const { stored, progress, isUp } = await probeApp(this.#paths, this.#apps, this.expected.key)
    const fingerprint = canonicalJson([stored?.status, progress])
    if (fingerprint !== this.#fingerprint || progress !== undefined) this.#changedAtMs = performance.now()
    this.#fingerprint = fingerprint
    this.#progress = progress
    const idleMs = Math.min(performance.now() - this.#changedAtMs, controllerSinceMs)
    this.verdict = judge(this.expected, { stored, isUp, idleMs })
  }

  row(): ProgressRow {
    const name = shortName(this.expected.key)
    switch (this.verdict.kind) {
      case 'ready':
        return { name, progress: undefined, waiting: 'Ready' }
      case 'failed':
        return { name, progress: undefined, waiting: this.verdict.reason }
      case 'waiting':
        return {
          name,
          progress: this.#progress,
          waiting: waitingWords(this.verdict),
        }
    }
  }
}
