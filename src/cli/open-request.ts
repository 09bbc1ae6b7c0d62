/** A rebuild or rollback that has had no answer yet, and how it is taken back. Pure. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../crd/labels.ts'
import { openRequest } from '../reconcile/image-request.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import type { AnnotationChange } from './request.ts'

export interface Withdrawal {
  /** Empty where nothing is open: what was answered stays told. */
  readonly annotations: AnnotationChange
  /** What is taken back, as the user called it; undefined: nothing. */
  readonly open: 'rebuild' | 'rollback' | undefined
}

export function withdrawal(stored: StoredApp): Withdrawal {
  const { metadata = {} } = stored.resource as {
    readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> }
  }
  const open = openRequest(metadata.annotations, stored.status)
  const annotations =
    open === undefined ? {} : { [RESOLVE_REQUESTED_AT]: undefined, [ROLLBACK_TO]: undefined }
  return { annotations, open }
}

/** `rebuild --cancel`: the result as one line. */
export function cancelled(name: string, { open }: Withdrawal, digest: string | undefined): string {
  if (open === undefined) return `${name}: no rebuild or rollback is open`
  return `${name}: the ${open} is taken back; pinned is ${digest ?? 'no digest'}`
}

/** `restart` is of the same digest: what would bring another one is taken back, and said so. */
export function restartNote(name: string, { open }: Withdrawal): string | undefined {
  return open === undefined ? undefined : `${name}: the ${open} that was still wanted is taken back`
}
