/**
 * A stream of chunks that can be asked for the next one and given back what was not used. Like the chunks it reads, what
 * it gives is valid until more is asked for.
 */
export class ByteInput {
  readonly #chunks: AsyncIterator<Uint8Array>
  #returned: Buffer | undefined

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** The next bytes, never empty; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    const returned = this.#returned
    this.#returned = undefined
    if (returned !== undefined) return returned
    for (;;) {
      const result = await this.#chunks.next()
      if (result.done === true) return undefined
      const { buffer, byteOffset, byteLength } = result.value
      if (byteLength > 0) return Buffer.from(buffer, byteOffset, byteLength)
    }
  }

  /** Puts bytes back in front of what comes next. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#returned = this.#returned === undefined ? bytes : Buffer.concat([bytes, this.#returned])
  }

  /** Looks at the next `count` bytes without taking them; fewer only at the end. */
  async peek(count: number): Promise<Buffer> {
    let head: Buffer = Buffer.alloc(0)
    while (head.length < count) {
      const chunk = await this.next()
      if (chunk === undefined) break
      // Too little is copied, since the chunk ends with the question for the next.
      head = head.length === 0 && chunk.length >= count ? chunk : Buffer.concat([head, chunk])
    }
    this.unread(head)
    return head.subarray(0, count)
  }

  /** Stops reading; the source may clean up. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}
