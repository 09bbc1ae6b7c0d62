/** Waits until an app of a cluster is where a command wanted it; the controller is somebody else's to keep alive. */
import { setTimeout as delay } from 'node:timers/promises'
import { CONTAINER_APPS } from '../../engine/kubernetes/resources.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { shortName } from '../app-view.ts'
import type { CommandCall } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { judge, type Expectation, type Verdict } from '../expectation.ts'
import { progressView } from '../progress-view.ts'
import { DEFAULT_WAIT_MS, type WaitedApp } from '../wait-apps.ts'
import { storedApp, type ClusterTarget } from './target.ts'

const LOOK_INTERVAL_MS = 1000

export async function waitForClusterApp(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
  expected: Expectation,
): Promise<{ readonly apps: readonly WaitedApp[]; readonly interrupted: boolean }> {
  const deadlineMs = performance.now() + call.options.durationMs('waitTimeout', DEFAULT_WAIT_MS)
  const view = progressView(context)
  const { signal } = context
  let verdict: Verdict = { kind: 'waiting', reason: 'Progressing', message: 'waits for the controller' }
  let fingerprint = ''
  let changedAtMs = performance.now()
  try {
    while (!signal.aborted && performance.now() < deadlineMs) {
      const object = await target.client.get(CONTAINER_APPS, expected.key.namespace, expected.key.name)
      const stored = object === undefined ? undefined : storedApp(object)
      const seen = canonicalJson(stored?.status ?? null)
      if (seen !== fingerprint) changedAtMs = performance.now()
      fingerprint = seen
      verdict = judge(expected, {
        stored,
        isUp: isUp(stored?.status),
        idleMs: performance.now() - changedAtMs,
      })
      view.show([{ name: shortName(expected.key), progress: undefined, waiting: words(verdict) }])
      if (verdict.kind !== 'waiting') break
      const leftMs = Math.max(deadlineMs - performance.now(), 0)
      await delay(Math.min(LOOK_INTERVAL_MS, leftMs), undefined, { signal }).catch(() => undefined)
    }
    return { apps: [{ expected, verdict }], interrupted: signal.aborted }
  } finally {
    view.clear()
  }
}

/** The controller's own observation: nothing nearer to the container can be asked from here. */
function isUp(
  status: { readonly workload?: { readonly ready?: number | undefined } | undefined } | undefined,
) {
  return (status?.workload?.ready ?? 0) > 0
}

function words(verdict: Verdict): string {
  if (verdict.kind === 'ready') return 'Ready'
  return verdict.kind === 'failed' ? verdict.reason : verdict.message
}
