/**
 * File names in layers are bytes, not text. They are kept as "byte strings": one JavaScript char (0–255) per byte,
 * which is lossless, works as a Map key and compares bytewise. Convert only at the edges.
 */
export type ByteString = string & { readonly __bytes?: never }

/** A user's text (UTF-16) as the bytes that a file system would see. */
export function toBytes(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** For messages only: bytes that are not UTF-8 become U+FFFD. */
export function toText(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** For system calls: a Buffer with exactly the bytes. */
export function toBuffer(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1')
}
