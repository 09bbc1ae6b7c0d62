/** Layers in, text out: the shortest way from one-line fixtures to something that a test can compare. */
import { assertNever, ExpectedError } from '../../src/errors.ts'
import type { ByteString } from '../../src/image/bytes.ts'
import type { ContentSink, ContentWriter } from '../../src/rootfs/content-sink.ts'
import { emptyReport, type FlattenReport } from '../../src/rootfs/layer-notes.ts'
import { DEFAULT_LIMITS, noUsage } from '../../src/rootfs/limits.ts'
import { LayerMerge, type MergeOptions } from '../../src/rootfs/merge-layers.ts'
import { readLayer } from '../../src/rootfs/read-layer.ts'
import type { TarEntry } from '../../src/rootfs/tar-entry.ts'
import { TarReader } from '../../src/rootfs/tar-reader.ts'
import { visitTree } from '../../src/rootfs/tree.ts'
import type { Inode, LayerEntry, LayerLimits, TreeNode } from '../../src/rootfs/types.ts'
import { atOnce } from '../../src/rootfs/work-slices.ts'
import { diffIdOf, layer, type LayerPart } from '../support/layer.ts'

/** Holes that are kept as zeros in memory; more of them are no matter of what tests compare. */
const MAX_HOLE_BYTES = 64 * 1024 ** 2

function zeros(bytes: number): Buffer {
  if (bytes > MAX_HOLE_BYTES)
    throw new ExpectedError('LimitExceeded', `a hole of ${bytes} bytes is more than tests keep in memory`)
  return Buffer.alloc(bytes)
}

/** Keeps content in memory. */
export class MemorySink implements ContentSink {
  begin(entry: TarEntry): ContentWriter {
    const parts: Buffer[] = []
    return {
      write: (bytes) => void parts.push(Buffer.from(bytes)),
      hole: (bytes) => void parts.push(zeros(bytes)),
      end: () => ({ size: entry.size, bytes: Buffer.concat(parts) }),
      abort: () => undefined,
    }
  }
}

/** Spoils each chunk when so many more were asked for, as sources may that fill their buffers again. */
export async function* inChunks(
  bytes: Buffer,
  size = bytes.length,
  validFor = 1,
): AsyncGenerator<Uint8Array> {
  const valid: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve()
    const chunk = Uint8Array.from(bytes.subarray(at, at + size))
    valid.push(chunk)
    yield chunk
    if (valid.length === validFor) valid.shift()?.fill(0xa5)
  }
}

/** What a plain tar says, without decompression and digests. */
export function readTar(tar: Buffer, limits: Partial<LayerLimits> = {}, cut = tar.length): LayerEntry[] {
  const entries: LayerEntry[] = []
  let open: { entry: TarEntry; parts: Buffer[] } | undefined
  const reader = new TarReader(
    {
      entry: (entry) => {
        if (entry.type === 'file') open = { entry, parts: [] }
        else entries.push({ ...entry, content: undefined })
      },
      content: (bytes) => open?.parts.push(Buffer.from(bytes)),
      hole: (bytes) => open?.parts.push(zeros(bytes)),
      contentEnd: () => {
        if (open === undefined) throw new Error('contentEnd without a file')
        const bytes = Buffer.concat(open.parts)
        entries.push({ ...open.entry, content: { size: bytes.length, bytes } })
        open = undefined
      },
      forNodes: (entry) => entries.push({ ...entry, content: undefined }),
      notice: () => undefined,
    },
    { layer: 0, limits: { ...DEFAULT_LIMITS, ...limits }, usage: noUsage() },
  )
  for (let at = 0; at < tar.length; at += Math.max(1, cut))
    reader.write(tar.subarray(at, at + Math.max(1, cut)))
  reader.end()
  return entries
}

/** One layer blob through the whole reader. */
export async function readBlob(
  blob: Buffer,
  tar: Buffer,
  mediaType: string,
  options: { chunk?: number; size?: number; limits?: Partial<LayerLimits> } = {},
): Promise<{ entries: readonly LayerEntry[]; report: FlattenReport }> {
  const report = emptyReport()
  const entries = await readLayer({
    blob: inChunks(blob, options.chunk),
    descriptor: { mediaType, digest: diffIdOf(blob), size: options.size ?? blob.length },
    diffId: diffIdOf(tar),
    layer: 0,
    sink: new MemorySink(),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    usage: noUsage(),
    report,
    onRead: () => undefined,
  })
  return { entries, report }
}

export interface Flattened {
  readonly tree: TreeNode
  readonly report: FlattenReport
}

export function flatten(
  layers: readonly (readonly LayerPart[])[],
  limits: Partial<LayerLimits> = {},
  options: Partial<Pick<MergeOptions, 'semantics' | 'fallsBack' | 'alwaysCompare' | 'budget'>> = {},
): Flattened {
  const reports = layers.map(emptyReport)
  const merge = new LayerMerge({
    semantics: 'spec',
    limits: { ...DEFAULT_LIMITS, ...limits },
    usage: noUsage(),
    reports,
    ...options,
  })
  for (const [index, parts] of layers.entries()) atOnce(merge.add(readTar(layer(parts)), index))
  const tree = merge.finish()
  return {
    tree,
    report: {
      dropped: reports.flatMap(({ dropped }) => dropped),
      divergences: reports.flatMap(({ divergences }) => divergences),
    },
  }
}

/** Sorted lines: `a/`, `a/f=text`, `l -> target`, `p|` (FIFO), `c:1,3`. Names in latin1. */
export function linesOf(tree: TreeNode): string[] {
  const lines: string[] = []
  visitTree(tree, ({ inode }, names) => lines.push(line(inode, names)))
  return lines.sort()
}

/** The same with mode, owner, time and xattrs, and which names share an inode. */
export function fullLinesOf(tree: TreeNode): string[] {
  const firstNames = new Map<Inode, string>()
  const lines: string[] = []
  visitTree(tree, ({ inode }, names) => {
    const { mode, uid, gid, mtime, xattrs } = inode
    const first = firstNames.get(inode)
    firstNames.set(inode, first ?? names.join('/'))
    const shared = first === undefined ? '' : ` same as ${first}`
    const attributes = [...xattrs].map(([name, value]) => ` ${name}=${value.toString('hex')}`).join('')
    lines.push(
      `${line(inode, names)} ${mode.toString(8)} ${uid}:${gid} ${mtime.seconds}+${mtime.nanoseconds}${attributes}${shared}`,
    )
  })
  return lines
}

function line({ type, content, linkTarget, device }: Inode, names: readonly ByteString[]): string {
  const path = names.join('/')
  switch (type) {
    case 'directory':
      return `${path}/`
    case 'symlink':
      return `${path} -> ${linkTarget}`
    case 'file':
      return `${path}=${content?.bytes?.toString('latin1') ?? ''}`
    case 'fifo':
      return `${path}|`
    case 'char':
    case 'block':
      return `${path}:${device?.major ?? 0},${device?.minor ?? 0}`
    default:
      return assertNever(type)
  }
}

/** The reason and message that a call fails with. */
export function failureOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}: ${error.message}`
    throw error
  }
  return 'no error'
}
