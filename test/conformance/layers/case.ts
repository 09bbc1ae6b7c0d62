/**
 * One case of the suite: layers as small fixtures, and the tree that they mean or the error that they deserve. Cases
 * are data: any unpacker can be shown them.
 */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Reason } from '../../../src/errors.ts'
import type { Descriptor, Digest } from '../../../src/image/types.ts'
import type { LayerLimits } from '../../../src/rootfs/types.ts'
import { MEDIA_TYPES } from '../../support/layout.ts'
import { diffIdOf, layer, type LayerOptions, type LayerPart } from '../../support/layer.ts'

/** One layer as it lies in the image. */
export interface CaseLayer {
  readonly blob: Buffer
  readonly mediaType: string
  /** Of the uncompressed bytes, or whatever a case lets the config say. */
  readonly diffId: Digest
  /** Only where the manifest lies. */
  readonly digest?: Digest
  readonly size?: number
  /** Further members of the descriptor: `urls`, `data`, annotations. */
  readonly descriptor?: Readonly<Record<string, unknown>>
}

export interface LayerCase {
  /** A number of the list of nasty cases with a letter for its parts (`11`, `45b`), or `breakout-…`. */
  readonly id: string
  readonly title: string
  readonly layers: readonly CaseLayer[]
  /** Lines of tree-lines.ts in any order, or why the image is refused; `says` is a part of the message. */
  readonly expected: { readonly tree: readonly string[] } | { readonly error: Reason; readonly says?: string }
  /** Rules of `unpack --report`'s `dropped`, in any order; absent where nothing is left out. */
  readonly dropped?: readonly string[]
  /** What the config says instead of the layers' own DiffIDs. */
  readonly diffIds?: readonly Digest[]
  /** Further members of the image config: `history`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** For bombs: limits so low that a small fixture is one. The case means nothing to tools without such limits. */
  readonly limits?: Partial<LayerLimits>
  /** Why this is right, where the sources disagree. */
  readonly why?: string
}

export interface CaseLayerOptions extends LayerOptions {
  readonly mediaType?: string
  /** Changes the uncompressed archive before it is compressed; the DiffID covers the result. */
  readonly tar?: (tar: Buffer) => Buffer
  /** Changes the blob; its digest covers the result. */
  readonly blob?: (blob: Buffer, tar: Buffer) => Buffer
  /** What is claimed instead of the truth. */
  readonly lies?: Partial<Pick<CaseLayer, 'diffId' | 'digest' | 'size'>>
  readonly descriptor?: Readonly<Record<string, unknown>>
}

/** A layer of parts from test/support/layer.ts; plain tar unless told otherwise. */
export function tarLayer(parts: readonly LayerPart[], options: CaseLayerOptions = {}): CaseLayer {
  const { compress = 'none', endBlocks = 2, mediaType, lies, descriptor } = options
  const plain = layer(parts, { endBlocks })
  const tar = options.tar?.(plain) ?? plain
  const compressed = compress === 'gzip' ? gzipSync(tar) : compress === 'zstd' ? zstdCompressSync(tar) : tar
  return {
    blob: options.blob?.(compressed, tar) ?? compressed,
    mediaType: mediaType ?? MEDIA_TYPES.oci.layer[compress],
    diffId: diffIdOf(tar),
    ...lies,
    ...(descriptor === undefined ? {} : { descriptor }),
  }
}

type Fixture = readonly LayerPart[] | CaseLayer

type More = Partial<Pick<LayerCase, 'dropped' | 'diffIds' | 'limits' | 'why' | 'config'>>

/** A case in one line: the layers, and the lines of the tree that they mean. */
export function gives(
  id: string,
  title: string,
  layers: readonly Fixture[],
  tree: readonly string[],
  more: More = {},
): LayerCase {
  return { id, title, layers: layers.map(asLayer), expected: { tree }, ...more }
}

/** A case in one line: the layers, and why they are refused. */
export function refuses(
  id: string,
  title: string,
  layers: readonly Fixture[],
  error: Reason,
  says: string,
  more: More = {},
): LayerCase {
  return { id, title, layers: layers.map(asLayer), expected: { error, says }, ...more }
}

function asLayer(fixture: Fixture): CaseLayer {
  return 'blob' in fixture ? fixture : tarLayer(fixture)
}

/** What the manifest says of a layer. */
export function layerDescriptor({ blob, mediaType, digest, size, descriptor }: CaseLayer): Descriptor {
  return { mediaType, digest: digest ?? diffIdOf(blob), size: size ?? blob.length, ...descriptor }
}

/** What the config says of the layers. */
export function caseDiffIds({ layers, diffIds }: LayerCase): readonly Digest[] {
  return diffIds ?? layers.map(({ diffId }) => diffId)
}

/** Whether a word names the case: by its id, or by the number that it shares with others (`55` for `55a` and `55a2`). */
export function isNamed(id: string, word: string): boolean {
  return id === word || (/^\d+$/.test(word) && /^\d+/.exec(id)?.[0] === word)
}
