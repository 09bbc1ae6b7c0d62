/** The tar reader's part for sparse files: collects the map of one at a time, checks it, and tells its holes. */
import type { LayerReason } from './layer-error.ts'
import {
  parseOldSparse,
  parseOldSparseBlock,
  SparseExpander,
  SparseMapReader,
  sparseProblem,
  type PaxSparse,
  type SparseFile,
  type SparseProblem,
  type SparseSegment,
} from './sparse.ts'
import type { TarEntry } from './tar-entry.ts'
import { BLOCK_BYTES, type TarHeader } from './tar-header.ts'
import type { LayerLimits, LayerUsage } from './types.ts'

export interface SparseContext {
  readonly limits: LayerLimits
  readonly usage: Pick<LayerUsage, 'bytes'>
}

export interface SparseHandler {
  entry(entry: TarEntry): void
  content(bytes: Buffer): void
  hole(bytes: number): void
}

type Fail = (reason: LayerReason, message: string) => never

/** A header of GNU's old form with as much of its map as was read. */
export interface OldHeader extends SparseFile {
  readonly header: TarHeader
}

export class SparseReader {
  readonly #handler: SparseHandler
  readonly #context: SparseContext
  readonly #fail: Fail
  #old:
    | {
        readonly header: TarHeader
        readonly realSize: number
        readonly segments: SparseSegment[]
        blocks: number
      }
    | undefined
  #mapped: { readonly entry: TarEntry; readonly realSize: number; readonly map: SparseMapReader } | undefined
  #expander: SparseExpander | undefined

  constructor(handler: SparseHandler, context: SparseContext, fail: Fail) {
    this.#handler = handler
    this.#context = context
    this.#fail = fail
  }

  /** Takes a header of type `S`. Undefined while blocks with more of its map follow. */
  beginOld(header: TarHeader, block: Buffer): OldHeader | undefined {
    const { realSize, segments, goesOn } = this.#orFail(parseOldSparse(block))
    this.#old = { header, realSize, segments: [...segments], blocks: 0 }
    return goesOn ? undefined : this.#old
  }

  /** Takes such a block. */
  addOldBlock(block: Buffer): OldHeader | undefined {
    const { segments, goesOn } = this.#orFail(parseOldSparseBlock(block))
    const old = this.#old
    if (old === undefined) return undefined
    old.segments.push(...segments)
    old.blocks += 1
    this.#limitMap(old.blocks * BLOCK_BYTES)
    return goesOn ? undefined : old
  }

  /** Begins a sparse file. Returns how many bytes of data follow; undefined when blocks with its map come first. */
  begin(entry: TarEntry, { realSize, segments }: PaxSparse): number | undefined {
    const { maxFileBytes } = this.#context.limits
    if (entry.type !== 'file')
      this.#fail('InvalidLayer', `a ${entry.type} can't be sparse; only files have holes`)
    if (realSize > maxFileBytes)
      this.#fail('LimitExceeded', `a sparse file of ${realSize} bytes; maxFileBytes is ${maxFileBytes}`)
    if (segments !== undefined) return this.#open(entry, { realSize, segments }, entry.size)
    if (entry.size < BLOCK_BYTES) this.#fail('InvalidLayer', 'the map of a sparse file is missing')
    this.#mapped = { entry, realSize, map: new SparseMapReader() }
    return undefined
  }

  /** Takes a block of the map in front of the data; returns as `begin` does. */
  addMapBlock(block: Buffer): number | undefined {
    if (this.#mapped === undefined) return undefined
    const { entry, realSize, map } = this.#mapped
    const segments = this.#orFail(map.add(block))
    this.#limitMap(map.bytes)
    const left = entry.size - map.bytes
    if (segments !== undefined) return this.#open(entry, { realSize, segments }, left)
    return left < BLOCK_BYTES ? this.#fail('InvalidLayer', 'the map of a sparse file is damaged') : undefined
  }

  /** False when the file that is being read is none of these: its content is for somebody else. */
  write(data: Buffer): boolean {
    this.#expander?.write(data)
    return this.#expander !== undefined
  }

  /** The data of a file is over, sparse or not. */
  end(): void {
    this.#expander?.end()
    this.#expander = undefined
  }

  /** The file as it is read from now on: with its holes, which count like any other bytes. */
  #open(entry: TarEntry, file: SparseFile, dataBytes: number): number {
    const problem = sparseProblem(file, dataBytes)
    if (problem !== undefined) this.#fail('InvalidLayer', problem)
    this.#countHoles(file.realSize - dataBytes)
    this.#handler.entry({ ...entry, size: file.realSize })
    this.#expander = new SparseExpander(file, this.#handler)
    return dataBytes
  }

  /**
   * A few bytes of archive can say a terabyte of zeros. They count like others for what an image may have, but for no
   * ratio: nobody has to write them. Sinks that must read them have a limit of their own.
   */
  #countHoles(bytes: number): void {
    const { limits, usage } = this.#context
    usage.bytes += bytes
    if (usage.bytes > limits.maxBytes)
      this.#fail(
        'LimitExceeded',
        `with its holes, the layers have more than ${limits.maxBytes} bytes (maxBytes)`,
      )
  }

  #limitMap(bytes: number): void {
    const { maxPaxBytes } = this.#context.limits
    if (bytes > maxPaxBytes)
      this.#fail(
        'LimitExceeded',
        `the map of a sparse file has ${bytes} bytes; maxPaxBytes is ${maxPaxBytes}`,
      )
  }

  #orFail<Value extends object | undefined>(value: Value | SparseProblem): Value {
    if (value !== undefined && 'problem' in value) return this.#fail('InvalidLayer', value.problem)
    return value
  }
}
