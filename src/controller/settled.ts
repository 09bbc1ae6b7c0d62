/** The short way of a pass: an app for which nothing has to be resolved, read or rendered. */
import { parseApp } from '../crd/app.ts'
import { IMAGE_RESOLVED, RENDERED, VOLUMES_READY } from '../crd/conditions.ts'
import { parseDuration } from '../crd/duration.ts'
import type { AppStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import { ExpectedError, type Issue } from '../errors.ts'
import { imageRequest } from '../reconcile/image-request.ts'
import { appId } from '../reconcile/names.ts'
import type { PlanInput, StoredApp } from '../reconcile/ports.ts'
import type { Observed, Plan } from '../reconcile/types.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

const DEFAULT_INTERVAL_MS = 24 * 3_600_000

interface SettledAttempt {
  readonly app: App
  readonly warnings: Issue[]
}

/**
 * A converged app needs neither its image nor a rendering: the words of the user and the pin are what they were when it
 * was rendered. Only engines that keep what they rendered beside the workload can tell.
 */
export async function settledPlan<O extends Observed, A extends { readonly kind: string }>(
  deps: ReconcileDeps<O, A>,
  stored: StoredApp,
): Promise<{ readonly plan: Plan<A>; readonly attempt: SettledAttempt } | undefined> {
  const { status } = stored
  if (deps.engine.planSettled === undefined || status?.image === undefined) return undefined
  if (!isFullyTold(status, stored.generation)) return undefined
  const parsed = parseApp(stored.resource, appId(stored.key))
  if ('issues' in parsed) return undefined
  const { app } = parsed
  const intervalMs = app.spec.imagePolicy?.resolve === 'Interval' ? intervalOf(app) : undefined
  try {
    if (imageRequest(app, status, deps.now(), intervalMs).kind !== 'keep') return undefined
  } catch (error) {
    // A request that is no request: the long way says what is wrong with it.
    if (error instanceof ExpectedError) return undefined
    throw error
  }
  const observed = await deps.engine.observe(stored.key)
  if (!areVolumesTold(status, observed)) return undefined
  const plan = deps.engine.planSettled(planInput(deps, stored, observed), app, status.image.digest)
  return plan === undefined ? undefined : { plan, attempt: { app, warnings: [] } }
}

/** What the last status says of image, rendering and volumes is good and about this very generation. */
function isFullyTold(status: AppStatus, generation: number): boolean {
  const isTrue = (type: string) =>
    status.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true
  return status.observedGeneration === generation && [IMAGE_RESOLVED, RENDERED, VOLUMES_READY].every(isTrue)
}

/** A crash may have come between what was found out about a volume and the status that was to tell it. */
function areVolumesTold({ volumes = [] }: AppStatus, { volumes: stored, execByPath }: Observed): boolean {
  return stored.every(({ path, seeded }) => {
    const told = volumes.find((volume) => volume.path === path)
    const exec = execByPath.get(path)
    const known = exec === undefined ? undefined : exec === 'exec' ? 'Allowed' : 'Denied'
    return told?.seeded === seeded && (told.exec === undefined || known === undefined || told.exec === known)
  })
}

export function planInput<O extends Observed, A extends { readonly kind: string }>(
  deps: ReconcileDeps<O, A>,
  stored: StoredApp,
  observed: O,
): PlanInput<O> {
  return { key: stored.key, stored, observed, backoff: deps.backoff, nowMs: deps.now() }
}

export function intervalOf(app: App): number {
  const text = app.spec.imagePolicy?.interval
  return (text === undefined ? undefined : parseDuration(text)) ?? DEFAULT_INTERVAL_MS
}
