/** Errors of layers: always with the layer's number and, where there is one, the entry's path. */
import { ExpectedError, printable, type Reason } from '../errors.ts'
import { toText, type ByteString } from '../image/bytes.ts'

export type LayerReason = Extract<
  Reason,
  'InvalidLayer' | 'InvalidWhiteout' | 'PathEscape' | 'LimitExceeded' | 'UnsupportedMediaType'
>

/** `layer 2 (etc/passwd): …`; layers count from 0, as in the manifest's list. */
export function layerError(
  reason: LayerReason,
  layer: number,
  path: ByteString | undefined,
  message: string,
  cause?: unknown,
): ExpectedError {
  const place = path === undefined ? `layer ${layer}` : `layer ${layer} (${entryText(path)})`
  return new ExpectedError(reason, `${place}: ${message}`, {
    path: place,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** An entry's name for people; '' is the root. */
export function entryText(path: ByteString): string {
  return path === '' ? './' : printable(toText(path))
}
