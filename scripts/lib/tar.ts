/**
 * Writes ustar archives (POSIX.1-1988, with GNU base-256 for numbers that do not fit): the few entries that images
 * and OCI archives of ours need. Reading archives, and all their dialects, is the business of src/rootfs.
 */
export interface TarEntry {
  readonly name: string
  readonly type: 'file' | 'directory' | 'symlink'
  readonly mode: number
  readonly uid?: number
  readonly gid?: number
  readonly size?: number
  readonly linkTarget?: string
  /** Whole seconds; 0 by default so that equal content gives an equal archive. */
  readonly mtime?: number
}

export const TAR_BLOCK_BYTES = 512

const TYPE_FLAGS = { file: '0', directory: '5', symlink: '2' } as const

/** A 512-byte header. Throws when the name does not fit into ustar's 100 + 155 bytes. */
export function tarHeader(entry: TarEntry): Buffer {
  const header = Buffer.alloc(TAR_BLOCK_BYTES)
  const { name, prefix } = splitName(entry.name)
  header.write(name, 0, 'utf8')
  writeNumber(header, 100, 8, entry.mode)
  writeNumber(header, 108, 8, entry.uid ?? 0)
  writeNumber(header, 116, 8, entry.gid ?? 0)
  writeNumber(header, 124, 12, entry.size ?? 0)
  writeNumber(header, 136, 12, entry.mtime ?? 0)
  header.write(TYPE_FLAGS[entry.type], 156, 'latin1')
  header.write(linkTargetOf(entry), 157, 'utf8')
  header.write('ustar\x0000', 257, 'latin1')
  header.write(prefix, 345, 'utf8')
  writeChecksum(header)
  return header
}

/** One entry with its content, padded to whole blocks. */
export function tarEntry(entry: TarEntry, content: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([
    tarHeader({ ...entry, size: content.length }),
    content,
    Buffer.alloc(tarPadding(content.length)),
  ])
}

/** How many zero bytes follow `size` bytes of content. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
}

/** The two zero blocks that end an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * TAR_BLOCK_BYTES)
}

function splitName(name: string): { name: string; prefix: string } {
  if (Buffer.byteLength(name) <= 100) return { name, prefix: '' }
  // The slash between prefix and name is not stored. The last possible one makes the name short.
  for (let cut = name.indexOf('/'); cut > 0; cut = name.indexOf('/', cut + 1)) {
    const parts = { prefix: name.slice(0, cut), name: name.slice(cut + 1) }
    const fits = Buffer.byteLength(parts.name) <= 100 && Buffer.byteLength(parts.prefix) <= 155
    if (fits && parts.name !== '') return parts
  }
  throw new Error(`name does not fit into a ustar header: ${name}`)
}

function linkTargetOf(entry: TarEntry): string {
  const target = entry.linkTarget ?? ''
  if (Buffer.byteLength(target) > 100)
    throw new Error(`link target does not fit into a ustar header: ${target}`)
  return target
}

function writeNumber(header: Buffer, offset: number, width: number, value: number): void {
  const octal = value.toString(8)
  if (octal.length < width) {
    header.write(octal.padStart(width - 1, '0'), offset, 'latin1')
    return
  }
  header.writeUInt8(0x80, offset)
  header.writeBigUInt64BE(BigInt(value), offset + width - 8)
  if (width === 8) header.writeUInt8(0x80, offset)
}

function writeChecksum(header: Buffer): void {
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}
