/** Blobs that every process makes alike. */

/** 64 KiB that differ with the number. */
export function blobNumber(number: number): Buffer {
  return Buffer.alloc(64 * 1024, `blob ${number} `)
}
