/** What the thread that reads a layer and the one that asked for it say to each other. */
import { ExpectedError, type Reason, type Retry } from '../../../errors.ts'
import type { Descriptor, Digest } from '../../../image/types.ts'
import type { FlattenReport } from '../../../rootfs/layer-notes.ts'
import type { LayerLimits, LayerUsage } from '../../../rootfs/types.ts'
import type { DiskSpoolOptions } from './disk-spool.ts'

/** A layer to read. */
export interface ThreadTask {
  readonly descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>
  readonly diffId: Digest
  readonly layer: number
  readonly limits: LayerLimits
  /** Of the image's `SharedUsage`. */
  readonly usage: SharedArrayBuffer
  /** Where content goes: empty and private. */
  readonly dir: string
  readonly spool: DiskSpoolOptions
}

/** A task; then its chunks and their end, each in answer to one `want`. */
export type ToThread =
  | { readonly kind: 'task'; readonly task: ThreadTask }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end' }

export type FromThread =
  | { readonly kind: 'want' }
  | {
      readonly kind: 'done'
      /** By `encodeEntries`. */
      readonly entries: Uint8Array<ArrayBuffer>
      readonly usage: LayerUsage
      readonly report: FlattenReport
    }
  | { readonly kind: 'failed'; readonly error: SentError }

/** An error without its class, which does not pass between threads. */
export interface SentError {
  readonly message: string
  readonly reason: Reason | undefined
  readonly retry: Retry | undefined
  readonly path: string | undefined
  /** Of the system's errors: ENOSPC and the like. */
  readonly code: string | undefined
}

export function sendError(error: unknown): SentError {
  const { message, code } = error as NodeJS.ErrnoException
  const known = error instanceof ExpectedError ? error : undefined
  return { message, code, reason: known?.reason, retry: known?.retry, path: known?.path }
}

export function receiveError({ message, code, reason, retry, path }: SentError): Error {
  if (reason === undefined) return Object.assign(new Error(message), code === undefined ? {} : { code })
  return new ExpectedError(reason, message, {
    ...(retry === undefined ? {} : { retry }),
    ...(path === undefined ? {} : { path }),
  })
}
