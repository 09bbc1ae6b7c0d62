/**
 * How a node finds a place in the upper directory of one layer. containerd resolves symlinks there and nowhere else, so
 * links of lower layers do not exist for it; a `..` behind a link is taken off the link's text, before that is resolved.
 */
import type { ByteString } from '../image/bytes.ts'
import { LINK_COST_BYTES } from './limits.ts'
import type { WorkBudget } from './overlayfs-budget.ts'
import { walkTo } from './tree.ts'
import type { TreeNode } from './types.ts'

/** Symlinks that containerd follows in one path. */
const MAX_LINKS = 255

/** The real place; its last names may be missing. */
export interface UpperPath {
  readonly names: readonly ByteString[]
}

export interface UpperPathProblem {
  readonly problem: 'not-directory' | 'loop'
  readonly names: readonly ByteString[]
}

export function resolveInUpper(
  root: TreeNode,
  path: readonly ByteString[],
  budget: WorkBudget,
): UpperPath | UpperPathProblem {
  let names = path
  for (let links = 0; ;) {
    budget.spend(names.length + 1)
    const pass = replaceLinks(root, names, { budget, maxLinks: MAX_LINKS - links })
    if ('problem' in pass) return pass
    if (pass.links === 0) return { names: pass.names }
    links += pass.links
    names = pass.names
  }
}

interface PassOptions {
  readonly budget: WorkBudget
  readonly maxLinks: number
}

/** Every name that is a symlink replaced by the link's text, once. */
function replaceLinks(
  root: TreeNode,
  path: readonly ByteString[],
  { budget, maxLinks }: PassOptions,
): { readonly names: readonly ByteString[]; readonly links: number } | UpperPathProblem {
  const names: ByteString[] = []
  // Where `names` lead, as long as that is known without a walk.
  let place: TreeNode | undefined = root
  let links = 0
  for (const name of path) {
    if (!push(names, name)) {
      budget.spend(names.length)
      place = nodeAt(root, names)
      continue
    }
    if (place !== undefined && place.children === undefined) return { problem: 'not-directory', names }
    const found: TreeNode | undefined | UpperPathProblem['problem'] =
      links === 0 ? place?.children?.get(name) : lookUp(root, names, budget)
    if (typeof found === 'string') return { problem: found, names }
    place = links === 0 ? found : undefined
    if (found?.inode.type !== 'symlink') continue
    links += 1
    if (links > maxLinks) return { problem: 'loop', names }
    place = undefined
    names.pop()
    const { linkTarget } = found.inode
    budget.spend(linkTarget.length + LINK_COST_BYTES)
    if (linkTarget.startsWith('/')) names.length = 0
    for (const part of linkTarget.split('/')) push(names, part)
  }
  return { names, links }
}

/** Whether a name was put on. */
function push(names: ByteString[], name: ByteString): boolean {
  if (name === '' || name === '.') return false
  if (name !== '..') return names.push(name) > 0
  names.pop()
  return false
}

/** Behind a replaced link: the names in front may be links themselves, which the kernel follows. */
function lookUp(
  root: TreeNode,
  names: readonly ByteString[],
  budget: WorkBudget,
): TreeNode | undefined | UpperPathProblem['problem'] {
  budget.spend(names.length)
  const parent = walkTo(root, names.slice(0, -1), {
    onLink: ({ inode }) => budget.spend(inode.linkTarget.length + LINK_COST_BYTES),
  })
  if (!('problem' in parent)) return parent.node.children?.get(names.at(-1) ?? '')
  return parent.problem === 'missing' ? undefined : parent.problem
}

/** The node of exactly these names. */
export function nodeAt(root: TreeNode, names: readonly ByteString[]): TreeNode | undefined {
  let node: TreeNode | undefined = root
  for (const name of names) node = node?.children?.get(name)
  return node
}
