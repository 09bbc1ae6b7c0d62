/** Two sides of a `diff` as its answer. Pure. */
import { diffConfigs } from '../image/config-diff.ts'
import { toText, type ByteString } from '../image/bytes.ts'
import { printable } from '../errors.ts'
import { diffTrees, type TreeChange } from '../rootfs/diff.ts'
import type { TreeField } from '../rootfs/diff-values.ts'
import { isMachineXattr, subtreeAt, withoutPaths, withoutWays } from '../rootfs/diff-scope.ts'
import { emptyTree } from '../rootfs/tree.ts'
import type { TreeNode } from '../rootfs/types.ts'
import type { ReadSide } from './diff-read.ts'

export interface DiffAnswer {
  readonly tree: readonly TreeChange[]
  /** Of two images; empty otherwise. */
  readonly config: readonly string[]
  /** What could not be compared, or not as it was. */
  readonly notes: readonly string[]
  /** Paths of files whose content was not compared: of them nobody knows whether they differ. */
  readonly unread: readonly string[]
}

/** Storage shares files that are equal, and a write to a running root takes a file's links apart: neither was the app. */
const NOT_IN_RUNNING: ReadonlySet<TreeField> = new Set(['links'])

export function diffAnswer(a: ReadSide, b: ReadSide): DiffAnswer {
  const at = b.at ?? a.at ?? []
  const mounted = [...(a.mounted ?? []), ...(b.mounted ?? [])]
  const notes = [...a.notes, ...b.notes]
  const trees = scoped(part(a, at, notes), part(b, at, notes), mounted)
  const unread: string[] = []
  const isRunning = a.mounted !== undefined || b.mounted !== undefined
  return {
    tree: diffTrees(...trees, {
      at,
      onUnread: (path, why) => {
        unread.push(path)
        notes.push(`${printable(path, 500)}: its content was not compared: ${why}`)
      },
      ...(isRunning ? { ignore: NOT_IN_RUNNING } : {}),
      ...(a.image === undefined && b.image === undefined ? {} : { ignoreXattr: isMachineXattr }),
    }),
    config: a.image === undefined || b.image === undefined ? [] : diffConfigs(a.image, b.image),
    notes,
    unread,
  }
}

/** Of an image beside a volume only the folder that the volume lies over. */
function part({ tree, image }: ReadSide, at: readonly ByteString[], notes: string[]): TreeNode {
  if (image === undefined || at.length === 0) return tree
  const found = subtreeAt(tree, at)
  if (found === undefined) notes.push(`the image has no folder ${printable(toText(`/${at.join('/')}`), 500)}`)
  return found ?? emptyTree()
}

function scoped(
  a: TreeNode,
  b: TreeNode,
  mounted: readonly (readonly ByteString[])[],
): readonly [TreeNode, TreeNode] {
  const [left, right] = [withoutPaths(a, mounted), withoutPaths(b, mounted)]
  return [withoutWays(left, right, mounted), withoutWays(right, left, mounted)]
}
