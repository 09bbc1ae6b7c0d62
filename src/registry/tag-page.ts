/**
 * Reads `{"name": …, "tags": [ … ]}` as it comes in, so that a page of any length takes no more memory than the tags in
 * it. It follows quotes and brackets only, to cut the list into short pieces; the pieces, and the document without them,
 * are judged by the strict reader of all documents (rules L3, M14).
 */
import { ExpectedError } from '../errors.ts'
import { array, member, object } from '../image/fields.ts'
import type { Place } from '../image/fields.ts'
import { parseStrictJson } from '../image/json.ts'

/** What is judged at a time. */
const PIECE_BYTES = 16 * 1024
/** Where a key ends that a list belongs to. One that is written at greater length is read with the document. */
const KEY_BYTES = 200
const KEY = /[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*$/

const BYTE = { quote: 0x22, backslash: 0x5c, comma: 0x2c, openList: 0x5b, openObject: 0x7b } as const
const CLOSING: readonly number[] = [0x5d, 0x7d]

export class TagPage {
  readonly #what: string
  readonly #take: (element: unknown) => void
  /** The document with an empty list in place of the one that was cut out. */
  #rest: Buffer[] = []
  /** What of the list has not been judged yet. */
  #piece: Buffer[] = []
  #pieceBytes = 0
  #isFirstPiece = true
  #isInList = false
  #isInString = false
  #isEscaped = false
  #depth = 0

  /** `take` gets each element of the list, whatever it is. How much is written at all is the caller's to bound. */
  constructor(what: string, take: (element: unknown) => void) {
    this.#what = what
    this.#take = take
  }

  /** Throws RegistryInvalid for what is no JSON. */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let from = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (this.#isInString) this.#inString(byte)
      else if (byte === BYTE.quote) this.#isInString = true
      else if (byte === BYTE.openList || byte === BYTE.openObject) from = this.#open(byte, bytes, from, at)
      else if (CLOSING.includes(byte)) from = this.#close(bytes, from, at)
      else if (byte === BYTE.comma && this.#isPieceFull(at - from)) {
        this.#judge(bytes.subarray(from, at), false)
        from = at + 1
      }
    }
    this.#keep(bytes.subarray(from))
  }

  /** Judges the document around the list. Throws RegistryInvalid, also when it has no tags. */
  end(): void {
    const place: Place = { reason: 'RegistryInvalid', what: this.#what, path: '' }
    const tags = member(object(this.#parse(Buffer.concat(this.#rest)), place, ['tags']), 'tags')
    if (tags === undefined)
      throw new ExpectedError('RegistryInvalid', `${this.#what} has no tags`, { retry: 'backoff' })
    for (const tag of tags === null ? [] : array(tags, { ...place, path: 'tags' })) this.#take(tag)
  }

  /** Like `#close`: returns from where on the bytes have not been put anywhere. The list's brackets stay in the document. */
  #open(byte: number, bytes: Buffer, from: number, at: number): number {
    this.#depth += 1
    if (byte !== BYTE.openList || this.#depth !== 2 || this.#isInList) return from
    this.#keep(bytes.subarray(from, at))
    if (!this.#keyIsTags()) return at
    this.#keep(bytes.subarray(at, at + 1))
    this.#isInList = true
    return at + 1
  }

  #close(bytes: Buffer, from: number, at: number): number {
    this.#depth -= 1
    if (!this.#isInList || this.#depth !== 1) return from
    this.#judge(bytes.subarray(from, at), true)
    this.#isInList = false
    return at
  }

  #isPieceFull(more: number): boolean {
    return this.#isInList && this.#depth === 2 && this.#pieceBytes + more >= PIECE_BYTES
  }

  #inString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BYTE.backslash) this.#isEscaped = true
    else if (byte === BYTE.quote) this.#isInString = false
  }

  /** Chunks are large, and what is kept of one would keep all of it. */
  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    if (!this.#isInList) {
      this.#rest.push(Buffer.from(bytes))
      return
    }
    this.#piece.push(Buffer.from(bytes))
    this.#pieceBytes += bytes.length
  }

  #keyIsTags(): boolean {
    this.#rest = [Buffer.concat(this.#rest)]
    const key = KEY.exec(this.#rest[0]?.subarray(-KEY_BYTES).toString('latin1') ?? '')?.[1]
    try {
      return key !== undefined && JSON.parse(key) === 'tags'
    } catch {
      return false
    }
  }

  /** A piece in brackets is a list by itself; beside a comma stands an element, here 0 for the one in the other piece. */
  #judge(bytes: Buffer, isLast: boolean): void {
    const [before, after] = [this.#isFirstPiece ? '[' : '[0,', isLast ? ']' : ',0]']
    const piece = [Buffer.from(before), ...this.#piece, bytes, Buffer.from(after)]
    const place: Place = { reason: 'RegistryInvalid', what: this.#what, path: 'tags' }
    const elements = array(this.#parse(Buffer.concat(piece)), place)
    for (const element of elements.slice(this.#isFirstPiece ? 0 : 1, isLast ? undefined : -1))
      this.#take(element)
    this.#piece = []
    this.#pieceBytes = 0
    this.#isFirstPiece = isLast
  }

  #parse(bytes: Buffer): unknown {
    const options = { reason: 'RegistryInvalid', what: this.#what, isPart: true } as const
    return parseStrictJson(bytes, { ...options, maxBytes: Number.POSITIVE_INFINITY })
  }
}
