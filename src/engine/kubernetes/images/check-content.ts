/**
 * What of an image's content is kept in memory while its layers stream by: what the checks read, and nothing else.
 * Accounts and the loader's settings whole, the beginning of scripts, the parts of ELF files that say what they need.
 */
import type { ContentSink, ContentWriter } from '../../../rootfs/content-sink.ts'
import type { TarEntry } from '../../../rootfs/tar-entry.ts'
import type { ContentRef } from '../../../rootfs/types.ts'
import { CaptureBuffers, ElfCapture, type ByteRange } from './elf-capture.ts'
import { KeptBytes } from './kept-bytes.ts'

/** Enough for the ELF files of a whole distribution; beyond it, files count as not read. */
const DEFAULT_BUDGET_BYTES = 16 << 20
/** Largest file that is kept whole: that of accounts that anyone reads. */
const MAX_WHOLE_BYTES = 10 << 20
/** The kernel looks at as much of a file to find out what it is. */
const START_BYTES = 256
/** Enough to see that a file is no library. */
const TYPE_BYTES = 64

/** Images may have them behind symlinks, under other names but with the same ending (Nix). */
const ACCOUNTS = /(?:^|[/-])(?:passwd|group)$/
const LOADER_SETTINGS = /(?:^|\/)(?:ld\.so\.(?:conf|cache)|ld\.so\.conf\.d\/[^/]+|ld-musl-[^/]+\.path)$/
/** `name:x:` and a number: accounts under any name. */
const ACCOUNT_LINE = /^(?:#[^\n]*\n)*[^\s:#]+:[^:\n]*:\d+:/
const LIBRARY = /\.so(?:\.[^/]*)?$/
const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1')

export class CheckContent implements ContentSink {
  readonly kept = new KeptBytes()
  readonly #budgetBytes: number
  readonly #freeBuffers: CaptureBuffers[] = []

  constructor(budgetBytes: number = DEFAULT_BUDGET_BYTES) {
    this.#budgetBytes = budgetBytes
  }

  begin(entry: TarEntry): ContentWriter {
    return new Writer(entry, this)
  }

  /** `spool` is the number in `kept`; without one, nothing of the file is known. */
  store(size: number, ranges: readonly ByteRange[] | undefined): ContentRef {
    const length = ranges?.reduce((sum, { bytes }) => sum + bytes.length, 0) ?? 0
    if (ranges === undefined || this.kept.bytes + length > this.#budgetBytes) return { size }
    return { size, spool: this.kept.add(ranges) }
  }

  lend(): CaptureBuffers {
    return this.#freeBuffers.pop() ?? new CaptureBuffers()
  }

  giveBack(buffers: CaptureBuffers): void {
    this.#freeBuffers.push(buffers)
  }
}

/** Decides by the first bytes what is kept of the file, then collects it. */
class Writer implements ContentWriter {
  readonly #entry: TarEntry
  readonly #content: CheckContent
  #start: Buffer | undefined = Buffer.alloc(0)
  #collector: Collector = NOTHING

  constructor(entry: TarEntry, content: CheckContent) {
    this.#entry = entry
    this.#content = content
  }

  write(bytes: Buffer): void {
    if (this.#start === undefined) return this.#collector.write(bytes)
    const start = this.#start.length === 0 ? bytes : Buffer.concat([this.#start, bytes])
    if (start.length >= START_BYTES) this.#decide(start)
    else this.#start = Buffer.from(start)
  }

  hole(bytes: number): void {
    const missing = this.#start === undefined ? 0 : START_BYTES - this.#start.length
    const first = Math.min(bytes, missing)
    if (first > 0) this.write(Buffer.alloc(first))
    if (bytes > first) this.#collector.hole(bytes - first)
  }

  end(): ContentRef {
    if (this.#start !== undefined) this.#decide(this.#start)
    try {
      return this.#content.store(this.#entry.size, this.#collector.end())
    } finally {
      this.abort()
    }
  }

  abort(): void {
    this.#collector.release()
    this.#collector = NOTHING
  }

  #decide(start: Buffer): void {
    this.#start = undefined
    this.#collector = collectorFor(this.#entry, start, this.#content)
    this.#collector.write(start)
  }
}

interface Collector {
  write(bytes: Buffer): void
  /** Zeros, of which only those that are kept may cost anything. */
  hole(bytes: number): void
  end(): readonly ByteRange[] | undefined
  release(): void
}

const NOTHING: Collector = {
  write: () => undefined,
  hole: () => undefined,
  end: () => undefined,
  release: () => undefined,
}

function collectorFor(entry: TarEntry, start: Buffer, content: CheckContent): Collector {
  if (start.subarray(0, ELF_MAGIC.length).equals(ELF_MAGIC)) return elf(entry.size, content)
  if (isReadWhole(entry, start)) return entry.size > MAX_WHOLE_BYTES ? NOTHING : beginning(entry.size)
  const isScript = start.subarray(0, 2).toString('latin1') === '#!'
  if (isScript || (entry.mode & 0o111) !== 0) return beginning(START_BYTES)
  return LIBRARY.test(entry.path) ? beginning(TYPE_BYTES) : NOTHING
}

function isReadWhole({ path }: TarEntry, start: Buffer): boolean {
  return ACCOUNTS.test(path) || LOADER_SETTINGS.test(path) || ACCOUNT_LINE.test(start.toString('latin1'))
}

function elf(size: number, content: CheckContent): Collector {
  const buffers = content.lend()
  const capture = new ElfCapture(size, buffers)
  return {
    write: (bytes) => capture.write(bytes),
    hole: (bytes) => capture.hole(bytes),
    end: () => capture.end(),
    release: () => content.giveBack(buffers),
  }
}

/** The first `maxBytes` of the file. */
function beginning(maxBytes: number): Collector {
  const parts: Buffer[] = []
  let length = 0
  return {
    write(bytes) {
      const part = bytes.subarray(0, maxBytes - length)
      if (part.length > 0) parts.push(Buffer.from(part))
      length += part.length
    },
    hole(bytes) {
      const kept = Math.min(bytes, maxBytes - length)
      if (kept > 0) parts.push(Buffer.alloc(kept))
      length += kept
    },
    end: () => [{ offset: 0, bytes: Buffer.concat(parts) }],
    release: () => undefined,
  }
}
