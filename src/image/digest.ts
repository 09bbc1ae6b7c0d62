/**
 * Content digests (image-spec descriptor.md): only the two registered algorithms, only lower-case hex, because a
 * digest becomes a path and a map key and must have exactly one spelling.
 */
import { createHash } from 'node:crypto'
import { ExpectedError, printable } from '../errors.ts'
import { hashHere, type StreamHash } from './stream-hash.ts'
import type { Digest } from './types.ts'

export type DigestAlgorithm = 'sha256' | 'sha512'

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/
const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 }

/** Whether the text is a digest, written the one way that is accepted. */
export function isDigest(text: string): text is Digest {
  // The length bounds the work, and `$` alone would be content with nothing else than a full match here.
  return text.length <= 135 && DIGEST.test(text)
}

/** The digest that a text of others is; undefined when it is none. */
export function digestIn(text: string | undefined): Digest | undefined {
  return text !== undefined && isDigest(text) ? text : undefined
}

/** Throws InvalidReference that says which part of the digest is wrong. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new ExpectedError(
    'InvalidReference',
    `${JSON.stringify(printable(text, 160))} is not a digest: ${digestProblem(text)}`,
  )
}

/** Why a text is not a digest, as the end of a sentence. */
export function digestProblem(text: string): string {
  const colon = text.indexOf(':')
  if (colon <= 0) return 'must be sha256: followed by 64 hexadecimal digits'
  const algorithm = text.slice(0, colon)
  const hex = text.slice(colon + 1)
  const wanted = Object.hasOwn(HEX_LENGTH, algorithm) ? HEX_LENGTH[algorithm] : undefined
  if (wanted === undefined)
    return `algorithm ${printable(algorithm, 40)} is not supported; must be sha256 or sha512`
  if (hex.length !== wanted)
    return `${algorithm} has ${wanted} hexadecimal digits, found ${hex.length} characters`
  if (/^[0-9a-fA-F]+$/.test(hex)) return 'hexadecimal digits must be lower case'
  return 'found characters that are not hexadecimal digits'
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The hexadecimal part. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

/**
 * Checks a stream against the size and digest that were promised. `update` throws as soon as there is one byte too
 * many, so that a lying server can't make us read for ever; `verify` throws when bytes are missing or differ.
 */
export class StreamCheck {
  readonly #expected: Digest
  readonly #size: number | undefined
  readonly #what: string
  readonly #hash: StreamHash
  #seen = 0

  /** `size` in bytes, undefined where nobody promised one; `what` names the content in messages. */
  constructor(
    expected: Digest,
    size: number | undefined,
    what: string = expected,
    hash: StreamHash = hashHere(algorithmOf(expected)),
  ) {
    this.#expected = expected
    this.#size = size
    this.#what = what
    this.#hash = hash
  }

  /** Bytes seen so far. */
  get seen(): number {
    return this.#seen
  }

  /** The piece may be written over again once this has returned, or what it returned has resolved. */
  update(chunk: Uint8Array): Promise<void> | undefined {
    this.#seen += chunk.length
    if (this.#size !== undefined && this.#seen > this.#size) throw tooLong(this.#what, this.#size)
    return this.#hash.update(chunk)
  }

  async verify(): Promise<void> {
    if (this.#size !== undefined && this.#seen !== this.#size)
      throw tooShort(this.#what, this.#seen, this.#size)
    requireEqual(await this.#hash.digest(), this.#expected, this.#what)
  }
}

/** Checks bytes that are wholly in memory. Throws DigestMismatch. */
export function verifyBytes(
  bytes: Uint8Array,
  digest: Digest,
  size: number | undefined,
  what: string = digest,
): void {
  if (size !== undefined && bytes.length > size) throw tooLong(what, size)
  if (size !== undefined && bytes.length < size) throw tooShort(what, bytes.length, size)
  requireEqual(digestOf(bytes, algorithmOf(digest)), digest, what)
}

function requireEqual(found: Digest, expected: Digest, what: string): void {
  if (found !== expected) throw mismatch(what, `has digest ${found}, expected ${expected}`)
}

function tooLong(what: string, size: number): ExpectedError {
  return mismatch(what, `has more than the ${size} bytes that its descriptor says`)
}

function tooShort(what: string, seen: number, size: number): ExpectedError {
  return mismatch(what, `ended after ${seen} bytes; its descriptor says ${size}`)
}

function mismatch(what: string, problem: string): ExpectedError {
  return new ExpectedError('DigestMismatch', `${what} ${problem}`, { retry: 'backoff' })
}
