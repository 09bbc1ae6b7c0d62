/** What a pass over an app knows, and what is said about it, as short as the tests of the status need them. */
import type { AppStatus } from '../../src/crd/status.ts'
import { ExpectedError } from '../../src/errors.ts'
import { desiredState } from '../../src/reconcile/desired.ts'
import type { Facts } from '../../src/reconcile/status-facts.ts'
import type { Desired, ObservedInstance } from '../../src/reconcile/types.ts'
import { dir, tree } from '../bundle/tree.ts'
import {
  anApp,
  anImage,
  anInstance,
  aStoredVolume,
  frozen,
  KEY,
  NOW_MS,
  observed,
  sources,
} from '../support/builders.ts'

export const APP = anApp({ volumes: [{ path: '/data' }] })
export const IMAGE = anImage()

export function desired(spec: Record<string, unknown> = {}): Desired {
  const app = anApp({ volumes: [{ path: '/data' }], ...spec })
  const result = desiredState({
    key: KEY,
    app,
    image: IMAGE,
    tree: tree({ data: dir() }),
    sources: sources(),
  })
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.desired
}

export const DATA = aStoredVolume('/data')
export const RUNNING = {
  instances: [anInstance('running')],
  volumes: [DATA],
  execByPath: new Map([['/data', 'exec' as const]]),
}

/** An app that runs, and nothing special. */
export function facts(changes: Partial<Facts> = {}): Facts {
  return frozen({
    settled: false,
    waiting: undefined,
    running: true,
    app: APP,
    generation: 1,
    previous: undefined,
    image: { resolved: IMAGE, request: undefined, fresh: false },
    error: undefined,
    failedAt: undefined,
    warnings: [],
    desired: desired(),
    targetId: 'new',
    observed: observed(RUNNING),
    addresses: [],
    movedTo: undefined,
    resolveError: undefined,
    wakeAtMs: undefined,
    nowMs: NOW_MS,
    ...changes,
  })
}

/** What a pass says that failed before it had a desired state. */
export function refused(
  reason: ExpectedError['reason'],
  failedAt: Facts['failedAt'],
  retry: 'terminal' | 'backoff' = 'terminal',
): Partial<Facts> {
  return {
    error: new ExpectedError(reason, 'why', { retry }),
    failedAt,
    desired: undefined,
    targetId: undefined,
  }
}

/** `Ready=True/Running` by type. */
export function conditions(status: AppStatus): Record<string, string> {
  return Object.fromEntries(
    (status.conditions ?? []).map(({ type, status, reason }) => [type, `${status}/${reason}`]),
  )
}

export function message(status: AppStatus, type: string): string {
  return status.conditions?.find((condition) => condition.type === type)?.message ?? ''
}

export const old = (state: ObservedInstance['state'], changes: Partial<ObservedInstance> = {}) =>
  anInstance(state, { id: 'old', revision: 'old', ...changes })

export const GOOD = {
  Ready: 'True/Running',
  ImageResolved: 'True/Resolved',
  Rendered: 'True/Rendered',
  VolumesReady: 'True/VolumesReady',
  VolumesExecutable: 'True/Executable',
  WorkloadAvailable: 'True/Running',
}
