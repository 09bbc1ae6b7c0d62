/**
 * JSON as untrusted documents must be read. JavaScript keeps the last of two equal keys and tells `layers` from
 * `Layers`; Go's decoder, which runtimes use, folds case and may keep another one. A document on whose meaning the two
 * could differ is refused (rule M14), so what was checked here is what a runtime sees.
 */
import { ExpectedError, printable } from '../errors.ts'
import type { Reason } from '../errors.ts'
import { findKeyProblem } from './json-keys.ts'

/** Manifests and configs: the floor that the distribution spec sets for pushes, and what peers accept. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

export interface JsonOptions {
  /** Reason of the errors. */
  readonly reason: Reason
  /** What the document is called in messages: `manifest sha256:…`. */
  readonly what: string
  readonly maxBytes?: number
  /** The bytes are cut out of the document: where in them something is wrong says nothing. */
  readonly isPart?: boolean
  /** Names of members that hold free maps (labels, annotations), whose keys may differ by case only. */
  readonly mapKeys?: ReadonlySet<string>
}

/** Parses UTF-8 JSON. Throws LimitExceeded for size, else `options.reason` with the place. */
export function parseStrictJson(bytes: Uint8Array, options: JsonOptions): unknown {
  const limit = options.maxBytes ?? MAX_DOCUMENT_BYTES
  if (bytes.length > limit) {
    throw new ExpectedError(
      'LimitExceeded',
      `${options.what} has ${bytes.length} bytes; at most ${limit} are read`,
    )
  }
  const text = decodeUtf8(bytes, options)
  const value = parse(text, options)
  const problem = findKeyProblem(text, options.mapKeys ?? new Set())
  if (problem !== undefined)
    throw new ExpectedError(options.reason, `${options.what} ${printable(problem, 300)}`)
  return value
}

function decodeUtf8(bytes: Uint8Array, options: JsonOptions): string {
  try {
    // A byte order mark is kept, so that JSON.parse refuses it as Go does.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new ExpectedError(options.reason, `${options.what} is not valid UTF-8`, { cause: error })
  }
}

function parse(text: string, options: JsonOptions): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    // The parser's own words quote the document, which may be an internal service's answer or hold a secret.
    const at = /at position (\d+)/.exec(String(error))?.[1]
    const where = at === undefined || options.isPart === true ? '' : ` (character ${Number(at) + 1})`
    throw new ExpectedError(options.reason, `${options.what} is not valid JSON${where}`)
  }
}
