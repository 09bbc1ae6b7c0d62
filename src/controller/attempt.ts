/** The way of a pass to a desired state: what was found out on it, and where it ended. */
import { parseApp } from '../crd/app.ts'
import type { App } from '../crd/types.ts'
import { IssuesError, refuseErrors, type ExpectedError, type Issue } from '../errors.ts'
import { desiredState } from '../reconcile/desired.ts'
import { appId } from '../reconcile/names.ts'
import { NotYet } from '../reconcile/not-yet.ts'
import type { PreparedImage, StoredApp } from '../reconcile/ports.ts'
import type { ImageFacts } from '../reconcile/status-image.ts'
import type { Desired, Part } from '../reconcile/types.ts'
import { pinEarly, resolveImage } from './pin-image.ts'
import { expected, mayGoOn, type AnyDeps } from './reconcile-deps.ts'

/** How far this pass got on the way to a desired state. */
export interface Attempt {
  app?: App
  image?: ImageFacts
  prepared?: PreparedImage
  desired?: Desired
  warnings: Issue[]
  error?: ExpectedError
  failedAt?: Part
  resolveError?: ExpectedError
  /** What goes on elsewhere and has to be done first; the app is woken when it is. */
  waitsFor?: string
}

export async function towardsDesired(
  deps: AnyDeps,
  stored: StoredApp,
  signal: AbortSignal,
): Promise<Attempt> {
  const attempt: Attempt = { warnings: [] }
  const chosen = await tried(attempt, signal, () => chooseImage(deps, stored, attempt, signal))
  if (chosen === undefined) return attempt
  // A pin that could not be written says nothing about the app: the pass ends here and is made again.
  if (!mayGoOn(deps, stored, signal)) return attempt
  await pinEarly(deps, stored, chosen.image)
  await tried(attempt, signal, () => render(deps, stored, attempt, chosen, signal))
  return attempt
}

/** What an expected failure says about the app is kept in the attempt. */
async function tried<T>(
  attempt: Attempt,
  signal: AbortSignal,
  part: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await part()
  } catch (error) {
    // Asked to stop: what failed because of that is no news about the app.
    signal.throwIfAborted()
    if (error instanceof NotYet) attempt.waitsFor = error.message
    else attempt.error = expected(error)
    return undefined
  }
}

interface Chosen {
  readonly app: App
  readonly image: ImageFacts
}

async function chooseImage(
  deps: AnyDeps,
  stored: StoredApp,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<Chosen> {
  attempt.failedAt = 'resource'
  const app = (attempt.app = parsedApp(stored))
  attempt.warnings.push(...refuseErrors(deps.engine.support(app)))
  attempt.failedAt = 'image'
  const image = (attempt.image = await resolveImage(deps, app, stored, attempt, signal))
  return { app, image }
}

async function render(
  deps: AnyDeps,
  stored: StoredApp,
  attempt: Attempt,
  { app, image: { resolved } }: Chosen,
  signal: AbortSignal,
): Promise<void> {
  const prepared = (attempt.prepared = await deps.images.prepare(app, stored, resolved, signal))
  attempt.failedAt = 'rendering'
  const sources = await deps.engine.sources(app)
  const basis = deps.engine.revisionBasis?.(app, resolved)
  const result = desiredState({
    key: stored.key,
    app,
    image: resolved,
    tree: prepared.tree,
    sources,
    ...(basis === undefined ? {} : { revision: basis }),
  })
  if ('issues' in result) throw new IssuesError(result.issues)
  attempt.warnings.push(...prepared.warnings, ...result.desired.warnings)
  attempt.warnings.push(...refuseErrors(await deps.engine.check(result.desired, prepared)))
  attempt.desired = result.desired
  delete attempt.failedAt
}

/** The resource as submitted; a stored file that no longer parses is told with all its problems. */
function parsedApp(stored: StoredApp): App {
  const parsed = parseApp(stored.resource, appId(stored.key))
  if ('issues' in parsed) throw new IssuesError(parsed.issues)
  return parsed.app
}
