/**
 * The image spec's layer.md once more, written to be obviously right and not to be fast: a tree is one flat map from
 * absolute paths to nodes, and every rule is a line. It shares no rule with src; the model-based test compares the two.
 */
import { assertNever } from '../../src/errors.ts'
import { dir, file, hardlink, opaque, symlink, whiteout, type LayerPart } from '../support/layer.ts'

/** One entry of a layer. */
export type Step =
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  | { readonly kind: 'dir'; readonly path: string; readonly mode: number }
  | { readonly kind: 'symlink' | 'hardlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'whiteout' | 'opaque'; readonly path: string }

export function partOf(step: Step): LayerPart {
  switch (step.kind) {
    case 'file':
      return file(step.path, step.text)
    case 'dir':
      return dir(step.path, { mode: step.mode })
    case 'symlink':
      return symlink(step.path, step.target)
    case 'hardlink':
      return hardlink(step.path, step.target)
    case 'whiteout':
      return whiteout(step.path)
    case 'opaque':
      return opaque(step.path)
    default:
      return assertNever(step)
  }
}

interface Node {
  readonly type: 'file' | 'dir' | 'symlink'
  readonly text: string
  readonly mode: number
  /** Names of one file share it. */
  readonly inode: number
}

type Tree = Map<string, Node>

/** The layers are refused; why does not matter here. */
class Refused extends Error {}

let inodes = 0
const MAX_HOPS = 40
const newDir = (mode = 0o755): Node => ({ type: 'dir', text: '', mode, inode: ++inodes })

/** Lines of the merged tree, or undefined where the layers are refused. */
export function modelLines(layers: readonly (readonly Step[])[]): readonly string[] | undefined {
  const tree: Tree = new Map([['', newDir()]])
  try {
    for (const layer of layers) applyModel(tree, layer)
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
  const firstNames = new Map<number, string>()
  const lines: string[] = []
  for (const [path, node] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const first = firstNames.get(node.inode)
    firstNames.set(node.inode, first ?? path)
    const mode = node.type === 'dir' ? node.mode.toString(8) : ''
    if (path !== '')
      lines.push(`${path} ${node.type} ${node.text}${mode}${first === undefined ? '' : ` = ${first}`}`)
  }
  return lines.sort()
}

function applyModel(tree: Tree, layer: readonly Step[]): void {
  const additions: { readonly step: Step; readonly names: readonly string[] }[] = []
  const hidden: { readonly directory: readonly string[]; readonly name: string | undefined }[] = []
  for (const step of layer) {
    // Old archives say by the slash that an entry is a directory, and that has no content.
    if (step.kind === 'file' && step.path.endsWith('/')) throw new Refused('content of a directory')
    const written =
      step.kind === 'whiteout'
        ? marker(step.path)
        : step.kind === 'opaque'
          ? `${step.path}/.wh..wh..opq`
          : step.path
    const names = clean(written)
    if (names.length === 0) {
      if (step.kind !== 'dir') throw new Refused('the root is a directory')
      continue
    }
    const at = names.findIndex((name) => name.startsWith('.wh.'))
    const found = names[at]
    const isLast = at === names.length - 1
    if (found === undefined) additions.push({ step, names })
    else if (found === '.wh..wh..opq' && isLast)
      hidden.push({ directory: names.slice(0, -1), name: undefined })
    else if (found.startsWith('.wh..wh.')) continue
    else if (!isLast || ['.wh.', '.wh..', '.wh...'].includes(found)) throw new Refused('no whiteout')
    else hidden.push({ directory: names.slice(0, -1), name: found.slice('.wh.'.length) })
  }
  // What a whiteout hides is found in the tree below, without the symlinks that this layer puts something else for.
  const below: Tree = new Map(tree)
  for (const names of [
    ...additions.map(({ names }) => names),
    ...hidden.flatMap(({ directory, name }) => (name === undefined ? [] : [[...directory, name]])),
  ]) {
    const parent = find(tree, names.slice(0, -1))
    const path = `${parent ?? 'nowhere'}/${names.at(-1) ?? ''}`
    if (parent !== undefined && tree.get(path)?.type === 'symlink') below.delete(path)
  }
  for (const { directory, name } of hidden) {
    const place = find(below, directory, () => {
      throw new Refused('a loop')
    })
    if (place !== undefined) remove(tree, place, name)
  }
  for (const { step, names } of additions) add(tree, step, names)
}

/** `a/x` is hidden by `a/.wh.x`. */
function marker(path: string): string {
  const slash = path.lastIndexOf('/') + 1
  return `${path.slice(0, slash)}.wh.${path.slice(slash)}`
}

/** Names as text: `.` and empty ones left out, `..` taken back; above the root is refused. */
function clean(path: string, mayClimb = false): string[] {
  const names: string[] = []
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue
    if (name !== '..') names.push(name)
    else if (names.pop() === undefined && !mayClimb) throw new Refused('above the root')
  }
  return names
}

/** Path of a directory, symlinks followed inside the root; undefined where it is none. */
function find(tree: Tree, names: readonly string[], onLoop?: () => void, make = false): string | undefined {
  let path = ''
  let hops = 0
  const todo = [...names]
  while (todo.length > 0) {
    const name = todo.shift() ?? ''
    if (name === '' || name === '.') continue
    if (tree.get(path)?.type !== 'dir') return undefined
    if (name === '..') {
      path = path.slice(0, Math.max(0, path.lastIndexOf('/')))
      continue
    }
    const next = `${path}/${name}`
    if (make && !tree.has(next)) {
      if (name.startsWith('.wh.')) throw new Refused('no name of a directory')
      tree.set(next, newDir())
    }
    const node = tree.get(next)
    if (node === undefined) return undefined
    if (node.type !== 'symlink') path = next
    else {
      if (++hops > MAX_HOPS) {
        onLoop?.()
        return undefined
      }
      if (node.text.startsWith('/')) path = ''
      todo.unshift(...node.text.split('/'))
    }
  }
  return tree.get(path)?.type === 'dir' ? path : undefined
}

function remove(tree: Tree, directory: string, name: string | undefined): void {
  for (const path of tree.keys()) {
    const isBelow = path.startsWith(`${directory}/`)
    if (
      isBelow &&
      (name === undefined || path === `${directory}/${name}` || path.startsWith(`${directory}/${name}/`))
    )
      tree.delete(path)
  }
}

function add(tree: Tree, step: Step, names: readonly string[]): void {
  const name = names.at(-1) ?? ''
  const parent = find(tree, names.slice(0, -1), undefined, true)
  if (parent === undefined) throw new Refused('no directory')
  const path = `${parent}/${name}`
  if (step.kind === 'dir' && tree.get(path)?.type === 'dir') {
    tree.set(path, newDir(step.mode))
    return
  }
  const node = nodeOf(tree, step, path)
  remove(tree, parent, name)
  tree.set(path, node)
}

function nodeOf(tree: Tree, step: Step, path: string): Node {
  switch (step.kind) {
    case 'file':
      return { type: 'file', text: step.text, mode: 0, inode: ++inodes }
    case 'dir':
      return newDir(step.mode)
    case 'symlink':
      if (step.target === '') throw new Refused('no target')
      return { type: 'symlink', text: step.target, mode: 0, inode: ++inodes }
    case 'hardlink': {
      const names = clean(step.target, true)
      const parent = names.length === 0 ? undefined : find(tree, names.slice(0, -1))
      const target = `${parent ?? 'nowhere'}/${names.at(-1) ?? ''}`
      const node = parent === undefined ? undefined : tree.get(target)
      if (node === undefined || node.type === 'dir' || target === path) throw new Refused('no target')
      return node
    }
    case 'whiteout':
    case 'opaque':
      throw new Error('a whiteout adds nothing')
    default:
      return assertNever(step)
  }
}
