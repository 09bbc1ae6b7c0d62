/**
 * What a process in the container sees: the image's tree with the mounts over it. The checks look through this, so
 * that a file under a volume is judged by the volume's content and flags, not by the image's.
 */
import { toBytes } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import type { FileNode, FileTree } from '../rootfs/types.ts'
import type { MountView } from './types.ts'

export interface ContainerView extends FileTree {
  /** The mount that a path lies on, by its resolved names; undefined on the image's own tree. */
  mountAt(names: readonly ByteString[]): MountView | undefined
  /** The tree without any mount: to tell what a mount hides. */
  readonly image: FileTree
}

const ROOT_DIRECTORY: FileNode = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  linkTarget: '',
  read: () => Buffer.alloc(0),
}

/** The runtime's own mounts: nothing in them is the image's. */
const RUNTIME_MOUNTS: readonly MountView[] = [
  runtimeMount('/proc', true),
  runtimeMount('/sys', true),
  runtimeMount('/dev', false),
]

interface PlacedMount {
  readonly names: readonly ByteString[]
  readonly view: MountView
}

/**
 * The image's tree seen through its mounts. Mounts count by depth, as they are made: a mount below another is on top
 * of it, and of two at one place the later one is seen. Destinations must be resolved already (no symlinks).
 */
export function containerView(root: FileTree, mounts: readonly MountView[]): ContainerView {
  const placed = [...RUNTIME_MOUNTS, ...mounts]
    .map((view): PlacedMount => ({ names: splitNames(view.destination), view }))
    .sort((a, b) => a.names.length - b.names.length)

  const over = (names: readonly ByteString[]): PlacedMount | undefined =>
    placed.findLast((mount) => startsWith(names, mount.names))

  return {
    image: root,
    mountAt: (names) => over(names)?.view,
    lookup(names) {
      const mount = over(names)
      const node =
        mount === undefined ? root.lookup(names) : mount.view.tree.lookup(names.slice(mount.names.length))
      return node ?? mountPointParent(names, placed)
    },
    list(names) {
      const mount = over(names)
      return mount === undefined
        ? root.list?.(names)
        : mount.view.tree.list?.(names.slice(mount.names.length))
    },
  }
}

/** Components of an absolute path, as bytes. */
export function splitNames(path: string): readonly ByteString[] {
  return path.split('/').flatMap((part) => (part === '' ? [] : [toBytes(part)]))
}

/** The runtime makes the folders that lead to a mount point and are not in the image. */
function mountPointParent(
  names: readonly ByteString[],
  placed: readonly PlacedMount[],
): FileNode | undefined {
  return placed.some((mount) => mount.names.length > names.length && startsWith(mount.names, names))
    ? ROOT_DIRECTORY
    : undefined
}

function startsWith(names: readonly ByteString[], prefix: readonly ByteString[]): boolean {
  return prefix.length <= names.length && prefix.every((name, index) => name === names[index])
}

function runtimeMount(destination: string, noexec: boolean): MountView {
  const tree: FileTree = { lookup: (names) => (names.length === 0 ? ROOT_DIRECTORY : undefined) }
  return { destination, tree, noexec, label: `the runtime's ${destination}` }
}
