/**
 * The merged file system of an image as a tree in memory. Pure data; who writes it to disk is somebody else.
 */
import type { ByteString } from '../image/bytes.ts'
import type { Digest } from '../image/types.ts'

/** Seconds may be negative and beyond 2^33; nanoseconds 0…999,999,999. */
export interface FileTime {
  readonly seconds: number
  readonly nanoseconds: number
}

export type FileType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo'

/** One entry of a layer's tar stream, as read: nothing is resolved yet. */
export interface LayerEntry {
  /** Name as in the archive, bytes, not cleaned. */
  readonly path: ByteString
  readonly type: FileType | 'hardlink'
  /** Permission bits with setuid, setgid, sticky: 0…0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: FileTime
  /** Bytes of content; 0 for everything but files. */
  readonly size: number
  /** Link target of symlinks and hard links, bytes, not cleaned. */
  readonly linkTarget: ByteString
  readonly device: { readonly major: number; readonly minor: number } | undefined
  readonly xattrs: ReadonlyMap<string, Buffer>
  /** Where the content went, as returned by the content sink; undefined for all but files. */
  readonly content: ContentRef | undefined
  /** Where nodes read it otherwise; see node-reading.ts. */
  readonly onNodes?: NodeReading | undefined
  /** No entry of the layer: it stands here only for what it is to nodes. */
  readonly isForNodes?: true | undefined
}

/** What nodes make of an entry. */
export type NodeReading =
  /** They refuse the layer when they come to it. */
  | { readonly kind: 'refuses'; readonly why: string }
  | {
      readonly kind: 'other'
      readonly why: string
      /** What they read instead. A file that is of size 0 here has no content. */
      readonly as: Partial<
        Pick<LayerEntry, 'path' | 'type' | 'uid' | 'gid' | 'mtime' | 'size' | 'linkTarget'>
      >
      /** Extended attributes that they do not see. */
      readonly lacks: readonly string[]
    }
  /** A global header: what has its name goes. */
  | { readonly kind: 'global' }

/** Whatever the content sink returned when it swallowed the file: a spool number, a digest, kept bytes. */
export interface ContentRef {
  readonly size: number
  /** Set by sinks that hash: used by `diff`. */
  readonly digest?: Digest
  /** Set by sinks that hash instead of the digest: why the content was not read, as the end of a sentence. */
  readonly unread?: string
  /** Set by sinks that spool to disk: which spool file holds the bytes. */
  readonly spool?: number
  /** Set by sinks that write whole files: which, relative to the folder that the layer's content went to. */
  readonly file?: ByteString
  /** Of the content, set by sinks whose files stay: damage can be told from it. */
  readonly crc32?: number
  /** Set by sinks that store equal files once: what has the same word here, or is called so, is the same file on disk. */
  readonly sameAs?: string
  /** Set by sinks that keep bytes in memory (small files, fixtures). */
  readonly bytes?: Buffer
}

/** What hard links share. */
export interface Inode {
  type: FileType
  mode: number
  uid: number
  gid: number
  mtime: FileTime
  size: number
  linkTarget: ByteString
  device: { readonly major: number; readonly minor: number } | undefined
  xattrs: ReadonlyMap<string, Buffer>
  content: ContentRef | undefined
  /** Number of the layer that it comes from. */
  layer: number
  /** Set where it has other attributes than the entry that its content came with: what a sink made of that has those. */
  isAltered?: true
  /** Set by the first hard link to it: an inode without it has one name. */
  isLinked?: true
}

/** A name in the tree. Only directories have children. */
export interface TreeNode {
  inode: Inode
  children: Map<ByteString, TreeNode> | undefined
}

/** What was left out on purpose, for `unpack --report` and status. */
export interface DroppedEntry {
  readonly layer: number
  readonly path: string
  readonly rule: string
  readonly message: string
}

/** Where an overlayfs-based engine (containerd, buildah, CRI-O) would show something else. */
export interface Divergence {
  readonly path: string
  readonly layer: number
  readonly rule: string
  readonly overlayfs: string
}

/** Limits of untrusted input; exceeding one is `LimitExceeded` naming layer, path and the setting. */
export interface LayerLimits {
  readonly maxEntries: number
  readonly maxBytes: number
  readonly maxFileBytes: number
  readonly maxPathBytes: number
  readonly maxDepth: number
  readonly maxPaxBytes: number
  /** Uncompressed bytes per compressed byte, checked once a layer has produced more than 64 MiB. */
  readonly maxRatio: number
  readonly maxXattrBytes: number
  /** Extended attributes of one entry. */
  readonly maxXattrs: number
  /** Names, link targets and extended headers of all layers, and `XATTR_COST_BYTES` for each extended attribute. */
  readonly maxMetadataBytes: number
  /** Targets of symlinks that paths of all layers lead through, each time; and `LINK_COST_BYTES` for each of them. */
  readonly maxLinkBytes: number
}

/** What was read so far of all layers of an image together. */
export interface LayerUsage {
  /** Entries, and directories that were implied by them. */
  entries: number
  /** Uncompressed. */
  bytes: number
  /** Counted as `maxMetadataBytes` is. */
  metadataBytes: number
}

/** A file as the checks see it: from a tree in memory or from a folder on disk, alike. */
export interface FileNode {
  readonly type: FileType | 'socket'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly linkTarget: ByteString
  /** Up to `maxBytes` of content from `offset`; empty for everything but files. */
  read(maxBytes: number, offset?: number): Buffer
}

/** A file system that can be asked for one name at a time, without following symlinks. */
export interface FileTree {
  /** `names` are components from the root, none of them `.` or `..`; [] is the root itself. */
  lookup(names: readonly ByteString[]): FileNode | undefined
  /** Names in a directory, in any order; undefined when it is none. Trees that can't tell leave the method out. */
  list?(names: readonly ByteString[]): readonly ByteString[] | undefined
}
