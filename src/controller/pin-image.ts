/** Which digest a pass works with: the pin, what was asked for, or what the reference names now. */
import type { App } from '../crd/types.ts'
import type { ExpectedError } from '../errors.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import { imageRequest, type ImageRequest } from '../reconcile/image-request.ts'
import { appId } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import type { ImageFacts } from '../reconcile/status-image.ts'
import { pinnedStatus } from '../reconcile/status.ts'
import { expected, type AnyDeps } from './reconcile-deps.ts'
import { intervalOf } from './settled.ts'

export async function resolveImage(
  deps: AnyDeps,
  app: App,
  stored: StoredApp,
  attempt: { resolveError?: ExpectedError },
  signal: AbortSignal,
): Promise<ImageFacts> {
  const intervalMs = app.spec.imagePolicy?.resolve === 'Interval' ? intervalOf(app) : undefined
  const request = imageRequest(app, stored.status, deps.now(), intervalMs)
  const pinned = stored.status?.image
  try {
    if (request.kind === 'keep')
      return await pinnedImage(deps, app, stored, request.digest, undefined, signal)
    if (request.kind === 'pin')
      return {
        ...(await pinnedImage(deps, app, stored, request.digest, request.request, signal)),
        rollback: true,
      }
    const resolved = await deps.images.resolve(app, stored, undefined, signal)
    deps.log.info(
      { app: appId(stored.key), image: app.spec.image, digest: resolved.digest },
      'resolved image',
    )
    return { resolved, request: request.request, fresh: true }
  } catch (error) {
    signal.throwIfAborted()
    const failure = expected(error)
    if (pinned === undefined || pinned.reference !== app.spec.image || !mayStay(request)) throw failure
    // Asking again failed, but what is pinned is as good as before: it stays, and so does Ready (rules R6, R7).
    attempt.resolveError = failure
    return pinnedImage(deps, app, stored, pinned.digest, undefined, signal)
  }
}

function mayStay(request: ImageRequest): boolean {
  return (
    request.kind === 'pin' ||
    (request.kind === 'resolve' && (request.why === 'requested' || request.why === 'interval'))
  )
}

async function pinnedImage(
  deps: AnyDeps,
  app: App,
  stored: StoredApp,
  digest: Digest,
  request: string | undefined,
  signal: AbortSignal,
): Promise<ImageFacts> {
  const recalled = await deps.images.recall(app, stored, digest)
  const resolved: ResolvedImage = recalled ?? (await deps.images.resolve(app, stored, digest, signal))
  return { resolved, request, fresh: request !== undefined && recalled === undefined }
}

/** The pin is written before anything runs: a crash must not lose which digest was chosen. */
export async function pinEarly(deps: AnyDeps, stored: StoredApp, image: ImageFacts): Promise<void> {
  const before = stored.status?.image
  if (before?.digest === image.resolved.digest && before.reference === image.resolved.reference.original)
    return
  const status = pinnedStatus(stored, image, deps.now())
  await deps.apps.writeStatus(stored.key, status)
  Object.assign(stored, { status })
}
