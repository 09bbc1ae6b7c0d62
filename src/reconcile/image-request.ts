/**
 * Decides whether the pinned digest stays or the reference is asked again. A digest once resolved is kept through
 * edits of anything but the image and through outages (DESIGN §4, rules R1, R6, R7).
 */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../crd/labels.ts'
import type { App } from '../crd/types.ts'
import type { AppStatus } from '../crd/status.ts'
import type { Digest } from '../image/types.ts'
import { isDigest } from '../image/digest.ts'
import { ExpectedError } from '../errors.ts'

export type ImageRequest =
  /** What is pinned stays. */
  | { readonly kind: 'keep'; readonly digest: Digest }
  /** The user asked for exactly this digest. */
  | { readonly kind: 'pin'; readonly digest: Digest; readonly request: string | undefined }
  /** The reference as typed is resolved anew. */
  | {
      readonly kind: 'resolve'
      readonly why: 'first' | 'image-changed' | 'requested' | 'interval'
      readonly request: string | undefined
    }

/** `nowMs` and `intervalMs` matter only under `imagePolicy.resolve: Interval`. */
export function imageRequest(
  app: App,
  status: AppStatus | undefined,
  nowMs: number,
  intervalMs: number | undefined,
): ImageRequest {
  const request = app.metadata.annotations?.[RESOLVE_REQUESTED_AT]
  const pinned = status?.image
  const asked = openRequest(app.metadata.annotations, status) !== undefined
  const rollbackTo = app.metadata.annotations?.[ROLLBACK_TO]

  if (asked && rollbackTo !== undefined) return { kind: 'pin', digest: parseRollback(rollbackTo), request }
  if (pinned === undefined) return { kind: 'resolve', why: 'first', request }
  if (pinned.reference !== app.spec.image) return { kind: 'resolve', why: 'image-changed', request }
  if (asked) return { kind: 'resolve', why: 'requested', request }
  const due = intervalMs !== undefined && nowMs >= Date.parse(pinned.resolvedAt) + intervalMs
  if (app.spec.imagePolicy?.resolve === 'Interval' && due)
    return { kind: 'resolve', why: 'interval', request }
  return { kind: 'keep', digest: pinned.digest }
}

/**
 * What somebody asked for that has had no answer yet. It is wanted until it is answered or its annotation goes: through
 * an outage, too.
 */
export function openRequest(
  annotations: Readonly<Record<string, string>> | undefined,
  status: Pick<AppStatus, 'lastHandledRequest'> | undefined,
): 'rebuild' | 'rollback' | undefined {
  const request = annotations?.[RESOLVE_REQUESTED_AT]
  if (request === undefined || request === status?.lastHandledRequest) return undefined
  return annotations?.[ROLLBACK_TO] === undefined ? 'rebuild' : 'rollback'
}

/** When `imagePolicy.resolve: Interval` asks next; undefined under the other policies and before the first pin. */
export function nextResolveAtMs(
  app: App,
  status: AppStatus | undefined,
  intervalMs: number,
): number | undefined {
  if (app.spec.imagePolicy?.resolve !== 'Interval' || status?.image === undefined) return undefined
  return Date.parse(status.image.resolvedAt) + intervalMs
}

function parseRollback(text: string): Digest {
  if (isDigest(text)) return text
  throw new ExpectedError('InvalidSpec', `${ROLLBACK_TO} must be a digest such as sha256:<64 hex digits>`, {
    path: `metadata.annotations[${ROLLBACK_TO}]`,
  })
}
