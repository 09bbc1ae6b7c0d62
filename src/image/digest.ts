/**
 * Content digests (image-spec descriptor.md): only the two registered algorithms, only lower-case hex, because a
 * digest becomes a path and a map key and must have exactly one spelling.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { ExpectedError, printable } from '../errors.ts'
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
export class Hasher {
  readonly #expected: Digest
  readonly #size: number | undefined
  readonly #what: string
  readonly #hash: Hash
  #seen = 0

  /** `size` in bytes, undefined where nobody promised one; `what` names the content in messages. */
  constructor(expected: Digest, size: number | undefined, what: string = expected) {
    this.#expected = expected
    this.#size = size
    this.#what = what
    this.#hash = createHash(algorithmOf(expected))
  }

  /** Bytes seen so far. */
  get seen(): number {
    return this.#seen
  }

  update(chunk: Uint8Array): void {
    this.#seen += chunk.length
    if (this.#size !== undefined && this.#seen > this.#size) {
      throw mismatch(this.#what, `has more than the ${this.#size} bytes that its descriptor says`)
    }
    this.#hash.update(chunk)
  }

  verify(): void {
    if (this.#size !== undefined && this.#seen !== this.#size) {
      throw mismatch(this.#what, `ended after ${this.#seen} bytes; its descriptor says ${this.#size}`)
    }
    const found = `${algorithmOf(this.#expected)}:${this.#hash.digest('hex')}`
    if (found !== this.#expected)
      throw mismatch(this.#what, `has digest ${found}, expected ${this.#expected}`)
  }
}

/** Checks bytes that are wholly in memory. Throws DigestMismatch. */
export function verifyBytes(
  bytes: Uint8Array,
  digest: Digest,
  size: number | undefined,
  what: string = digest,
): void {
  const hasher = new Hasher(digest, size, what)
  hasher.update(bytes)
  hasher.verify()
}

function mismatch(what: string, problem: string): ExpectedError {
  return new ExpectedError('DigestMismatch', `${what} ${problem}`, { retry: 'backoff' })
}
