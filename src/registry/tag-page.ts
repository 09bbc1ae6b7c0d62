/**
 * Reads `{"name": …, "tags": [ … ]}` as it comes in, so that a page of any length takes no more memory than the tags in
 * it. It follows quotes and brackets only, to cut the list into short pieces; the pieces, and the document without them,
 * are judged by the strict reader of all documents (rules L3, M14). Each byte is looked at once, whatever it is.
 */
import { ExpectedError } from '../errors.ts'
import { array, member, object } from '../image/fields.ts'
import type { Place } from '../image/fields.ts'
import { MAX_DEPTH } from '../image/json-keys.ts'
import { MAX_DOCUMENT_BYTES, parseStrictJson } from '../image/json.ts'
import { GatheredBytes } from './gathered-bytes.ts'

/** What is judged at a time. */
const PIECE_BYTES = 16 * 1024
/** The longest way to write the key `tags`, from behind its first quote to its last. */
const MAX_KEY_CHARS = String.raw`\u0074\u0061\u0067\u0073"`.length

const BYTE = { quote: 0x22, backslash: 0x5c, comma: 0x2c, openList: 0x5b, openObject: 0x7b } as const
const CLOSING: readonly number[] = [0x5d, 0x7d]

export class TagPage {
  readonly #what: string
  readonly #take: (element: unknown) => void
  /** The document with an empty list in place of the one that was cut out. */
  readonly #rest: GatheredBytes
  /** What of the list has not been judged yet. */
  readonly #piece: GatheredBytes
  /** The last text of the document's own level, as it is written: before a list of a valid object, its key. */
  #key = ''
  #isFirstPiece = true
  #hasList = false
  #isInList = false
  #isInString = false
  #isEscaped = false
  #depth = 0

  /** `take` gets each element of the list, whatever it is. How much is written at all is the caller's to bound. */
  constructor(what: string, take: (element: unknown) => void) {
    this.#what = what
    this.#take = take
    const tooMuch = (problem: string) => () =>
      new ExpectedError('LimitExceeded', `${what} has more than ${MAX_DOCUMENT_BYTES} bytes ${problem}`)
    this.#rest = new GatheredBytes(MAX_DOCUMENT_BYTES, tooMuch('beside its tags'))
    this.#piece = new GatheredBytes(MAX_DOCUMENT_BYTES, tooMuch('in one entry'))
  }

  /** Throws RegistryInvalid for what is no JSON, LimitExceeded for much that is no tags. */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let from = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (this.#isInString) this.#inString(byte)
      else if (byte === BYTE.quote) this.#openString()
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
    const tags = member(object(this.#parse(this.#rest.take()), place, ['tags']), 'tags')
    if (tags === undefined)
      throw new ExpectedError('RegistryInvalid', `${this.#what} has no tags`, { retry: 'backoff' })
    for (const tag of tags === null ? [] : array(tags, { ...place, path: 'tags' })) this.#take(tag)
  }

  /** Like `#close`: returns from where on the bytes have not been put anywhere. The list's brackets stay in the document. */
  #open(byte: number, bytes: Buffer, from: number, at: number): number {
    this.#depth += 1
    // A piece by itself would be a level less deep than in its place.
    if (this.#depth > MAX_DEPTH)
      throw new ExpectedError('RegistryInvalid', `${this.#what} is nested deeper than ${MAX_DEPTH} levels`)
    if (byte !== BYTE.openList || this.#depth !== 2 || this.#isInList || !this.#keyIsTags()) return from
    if (this.#hasList)
      throw new ExpectedError('RegistryInvalid', `${this.#what} has the key "tags" twice in one object`)
    this.#keep(bytes.subarray(from, at + 1))
    this.#hasList = true
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
    return this.#isInList && this.#depth === 2 && this.#piece.length + more >= PIECE_BYTES
  }

  #openString(): void {
    this.#isInString = true
    if (this.#depth === 1) this.#key = ''
  }

  #inString(byte: number): void {
    // One char more is enough to tell that it is another key.
    if (this.#depth === 1 && this.#key.length <= MAX_KEY_CHARS) this.#key += String.fromCharCode(byte)
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BYTE.backslash) this.#isEscaped = true
    else if (byte === BYTE.quote) this.#isInString = false
  }

  #keep(bytes: Buffer): void {
    const kept = this.#isInList ? this.#piece : this.#rest
    kept.add(bytes)
  }

  #keyIsTags(): boolean {
    if (this.#key.length > MAX_KEY_CHARS) return false
    try {
      return JSON.parse(`"${this.#key}`) === 'tags'
    } catch {
      return false
    }
  }

  /** A piece in brackets is a list by itself; beside a comma stands an element, here 0 for the one in the other piece. */
  #judge(bytes: Buffer, isLast: boolean): void {
    const [before, after] = [this.#isFirstPiece ? '[' : '[0,', isLast ? ']' : ',0]']
    this.#piece.add(bytes)
    const piece = [Buffer.from(before), this.#piece.take(), Buffer.from(after)]
    const place: Place = { reason: 'RegistryInvalid', what: this.#what, path: 'tags' }
    const elements = array(this.#parse(Buffer.concat(piece)), place)
    for (const element of elements.slice(this.#isFirstPiece ? 0 : 1, isLast ? undefined : -1))
      this.#take(element)
    this.#isFirstPiece = false
  }

  #parse(bytes: Buffer): unknown {
    const options = { reason: 'RegistryInvalid', what: this.#what, isPart: true } as const
    return parseStrictJson(bytes, { ...options, maxBytes: Number.POSITIVE_INFINITY })
  }
}
