/**
 * What a layer's whiteouts hide. All of them are worked out against the tree as it was before the layer, and only then
 * carried out, so their order in the archive can't matter (layer.md).
 */
import type { ByteString } from '../image/bytes.ts'
import { layerError } from './layer-error.ts'
import type { LayerNotes } from './layer-notes.ts'
import { directoryOf, namesOf, type LayerPlan, type Whiteout } from './layer-plan.ts'
import { walkTo } from './tree.ts'
import type { TreeNode } from './types.ts'

interface Removal {
  readonly directory: TreeNode
  /** Undefined: everything in the directory. */
  readonly name: ByteString | undefined
}

export function applyWhiteouts(root: TreeNode, plan: LayerPlan, notes: LayerNotes): void {
  if (plan.whiteouts.length === 0) return
  const replaced = replacedSymlinks(root, plan)
  const added = firstIndexes(plan)
  const removals = plan.whiteouts.flatMap((whiteout): Removal[] => {
    const directory = findDirectory(root, whiteout, replaced, added, notes)
    if (directory === undefined) return []
    noteOwnEntry(directory, whiteout, added, notes)
    return [{ directory, name: whiteout.hidden }]
  })
  for (const { directory, name } of removals) {
    if (name === undefined) directory.children?.clear()
    else directory.children?.delete(name)
  }
}

/**
 * Lower symlinks that this layer replaces or hides. A whiteout below such a name means the layer's own new directory,
 * which has no lower children; following the old link would empty a directory that the layer never touched.
 */
function replacedSymlinks(root: TreeNode, { additions, whiteouts }: LayerPlan): ReadonlySet<TreeNode> {
  const found = new Set<TreeNode>()
  const check = (directory: readonly ByteString[], name: ByteString | undefined): void => {
    const end = walkTo(root, directory)
    const node = 'problem' in end || name === undefined ? undefined : end.node.children?.get(name)
    if (node?.inode.type === 'symlink') found.add(node)
  }
  for (const addition of additions) {
    const names = namesOf(addition)
    check(names.slice(0, -1), names.at(-1))
  }
  for (const whiteout of whiteouts) check(directoryOf(whiteout), whiteout.hidden)
  return found
}

/** Where each path that whiteouts speak of first stands in the archive, as far as the layer adds it, too. */
function firstIndexes({ additions, whiteouts }: LayerPlan): ReadonlyMap<string, number> {
  const asked = new Set<string>()
  for (const whiteout of whiteouts) {
    const directory = directoryOf(whiteout)
    asked.add(directory.join('/'))
    if (whiteout.hidden !== undefined) asked.add([...directory, whiteout.hidden].join('/'))
  }
  const indexes = new Map<string, number>()
  for (const addition of additions) {
    const key = namesOf(addition).join('/')
    if (asked.has(key) && !indexes.has(key)) indexes.set(key, addition.index)
  }
  return indexes
}

function findDirectory(
  root: TreeNode,
  whiteout: Whiteout,
  replaced: ReadonlySet<TreeNode>,
  added: ReadonlyMap<string, number>,
  notes: LayerNotes,
): TreeNode | undefined {
  const links: string[] = []
  const directory = directoryOf(whiteout)
  const end = walkTo(root, directory, {
    follow: (link, names) => {
      if (replaced.has(link)) return false
      links.push(names.join('/'))
      return true
    },
  })
  if ('problem' in end) {
    if (end.problem === 'loop')
      throw layerError('InvalidWhiteout', notes.layer, whiteout.path, 'its directory is a loop of symlinks')
    if (end.problem === 'missing' && !added.has(directory.join('/'))) {
      notes.diverge(
        'whiteout-of-missing-path',
        directory,
        'the directory appears, with a name in it that is listed but cannot be opened',
      )
    }
    return undefined
  }
  const link = links[0]
  if (link !== undefined) {
    notes.diverge(
      'whiteout-through-symlink',
      link.split('/'),
      'the symlink is replaced by a directory; what the whiteout hides stays where it is',
    )
  }
  return end.node
}

/** A name that the layer both hides and adds: what is added stays, but only a merge in memory gets that right. */
function noteOwnEntry(
  directory: TreeNode,
  whiteout: Whiteout,
  added: ReadonlyMap<string, number>,
  notes: LayerNotes,
): void {
  if (whiteout.hidden === undefined) return
  const names = [...directoryOf(whiteout), whiteout.hidden]
  const addedAt = added.get(names.join('/'))
  if (addedAt === undefined) return
  if (addedAt < whiteout.index) {
    notes.diverge(
      'whiteout-after-entry',
      names,
      'unpacking fails: the whiteout comes after the entry of the same name',
    )
    return
  }
  const lower = directory.children?.get(whiteout.hidden)
  if (lower?.children !== undefined && lower.children.size > 0) {
    notes.diverge('recreated-directory', names, 'the lower children of the directory appear again')
  }
}
