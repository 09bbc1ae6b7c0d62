/**
 * The names of divergences, and what is said of them. The name says why a node shows something else, so that whoever
 * builds the image knows what to change; docs/layers.md has one line for each.
 */
import { printable } from '../errors.ts'
import { toText, type ByteString } from '../image/bytes.ts'
import { WHITEOUT_PREFIX } from './names.ts'
import type { Inode, TreeNode } from './types.ts'

export const DIVERGENCE_RULES = [
  'archive-refused',
  'aufs-metadata',
  'char-device-0-0',
  'directory-attributes',
  'duplicate',
  'entry-below-whiteout',
  'entry-refused',
  'hard-link-attributes',
  'hard-link-to-lower-file',
  'negative-mtime',
  'not-compared',
  'opaque-root',
  'other',
  'overlay-xattr',
  'parent-symlink',
  'read-otherwise',
  'recreated-directory',
  'replaced-directory',
  'spec-refuses',
  'whiteout-after-entry',
  'whiteout-of-missing-path',
  'whiteout-through-symlink',
] as const
export type DivergenceRule = (typeof DIVERGENCE_RULES)[number]

export interface Difference {
  /** A new array for each difference. */
  readonly names: readonly ByteString[]
  /** What the merged tree has; undefined when only nodes show something. */
  readonly merged: TreeNode | undefined
  /** What nodes show; undefined when they show nothing. */
  readonly shown: TreeNode | undefined
  /** The name is listed on nodes, and cannot be opened. */
  readonly isGhost: boolean
  /** What differs where both have the same type. */
  readonly changed: readonly string[]
}

/** What the layer that made the difference has to do with it. Paths are joined names. */
export interface LayerFacts {
  readonly layer: number
  readonly hidden: ReadonlySet<string>
  readonly devices: ReadonlySet<string>
  readonly hasOpaqueRoot: boolean
  /** Paths at which nodes read the archive otherwise, and why. */
  readonly reread: ReadonlyMap<string, string>
  /** Directories that lie above those paths. */
  readonly aboveReread: ReadonlyMap<string, string>
}

export interface Finding {
  readonly rule: DivergenceRule
  /** What a node shows. */
  readonly overlayfs: string
}

export function explain(difference: Difference, facts: LayerFacts): Finding {
  const { merged, shown, isGhost, changed } = difference
  const above = merged === undefined ? facts.aboveReread.get(difference.names.join('/')) : undefined
  const why = whyAt(facts.reread, difference.names) ?? above
  if (why !== undefined) return reread(difference, why)
  if (isGhost) return ghost(difference, facts)
  if (shown === undefined) return missing(difference, facts)
  if (merged === undefined) return extra(difference, shown, facts)
  if (changed.length > 0) return changedFile(merged, shown, changed, facts)
  return otherType(merged, shown, facts)
}

/** What nodes show where their reader found something else in the archive. */
function reread({ merged, shown, isGhost, changed }: Difference, why: string): Finding {
  return { rule: 'read-otherwise', overlayfs: `${seen()}: ${why}` }

  function seen(): string {
    if (isGhost) return 'a name that is listed and cannot be opened'
    if (shown === undefined) return 'nothing'
    if (merged === undefined || changed.length === 0) return kindOf(shown)
    return changed.map((what) => changeText(what, merged.inode, shown.inode)).join(', ')
  }
}

function ghost({ names }: Difference, facts: LayerFacts): Finding {
  const rule = liesIn(facts.devices, names) ? 'char-device-0-0' : 'whiteout-of-missing-path'
  return { rule, overlayfs: 'a name that is listed and cannot be opened' }
}

function missing({ names }: Difference, facts: LayerFacts): Finding {
  if (liesIn(facts.devices, names))
    return { rule: 'char-device-0-0', overlayfs: 'nothing: the device acts as a whiteout, being 0:0 there' }
  if (facts.layer === 0)
    return {
      rule: 'whiteout-after-entry',
      overlayfs: 'nothing: a whiteout of the first layer deletes what that layer has',
    }
  return {
    rule: 'parent-symlink',
    overlayfs:
      'nothing: what the layer puts behind a symlink of a lower layer lands in a new directory in place of the link',
  }
}

function extra({ names }: Difference, shown: TreeNode, facts: LayerFacts): Finding {
  const kind = kindOf(shown)
  if (names.some((name) => name.startsWith(WHITEOUT_PREFIX)))
    return { rule: 'aufs-metadata', overlayfs: `${kind}: files of AUFS are kept` }
  if (shown.inode.layer < facts.layer) return reappeared(names, kind, facts)
  if (isBare(shown))
    return { rule: 'whiteout-of-missing-path', overlayfs: `${kind}, made for a whiteout below it` }
  return { rule: 'parent-symlink', overlayfs: `${kind}: symlinks of lower layers are not followed` }
}

function reappeared(names: Difference['names'], kind: string, facts: LayerFacts): Finding {
  if (liesIn(facts.hidden, names))
    return {
      rule: 'recreated-directory',
      overlayfs: `${kind} of a lower layer: a directory that one layer both hides and has is merged with the lower one`,
    }
  if (facts.hasOpaqueRoot)
    return {
      rule: 'opaque-root',
      overlayfs: `${kind} of a lower layer: an opaque marker of the root has no effect`,
    }
  return {
    rule: 'whiteout-through-symlink',
    overlayfs: `${kind} of a lower layer: a whiteout behind a symlink hides nothing`,
  }
}

function changedFile(
  merged: TreeNode,
  shown: TreeNode,
  changed: readonly string[],
  facts: LayerFacts,
): Finding {
  if (isOutdated(merged, shown, facts)) return outdated(shown)
  const overlayfs = changed.map((what) => changeText(what, merged.inode, shown.inode)).join(', ')
  if (changed.length === 1 && changed[0] === 'time') return { rule: 'negative-mtime', overlayfs }
  if (merged.children !== undefined) return { rule: 'directory-attributes', overlayfs }
  const isOther = ['content', 'target', 'device number'].some((what) => changed.includes(what))
  return { rule: isOther ? 'other' : 'hard-link-attributes', overlayfs }
}

function changeText(what: string, a: Inode, b: Inode): string {
  if (what === 'mode') return `mode ${octal(b.mode)} instead of ${octal(a.mode)}`
  if (what === 'owner') return `owner ${b.uid}:${b.gid} instead of ${a.uid}:${a.gid}`
  if (what === 'time') return `time ${b.mtime.seconds} s after 1970 instead of ${a.mtime.seconds} s`
  return `other ${what}`
}

/** The layer has put something there, but nodes have it elsewhere. */
function isOutdated(merged: TreeNode, shown: TreeNode, { layer }: LayerFacts): boolean {
  return merged.inode.layer === layer && shown.inode.layer < layer
}

function outdated(shown: TreeNode): Finding {
  return {
    rule: 'parent-symlink',
    overlayfs: `the ${shown.inode.type} of a lower layer: what this layer has for it lands elsewhere, since symlinks of lower layers are not followed`,
  }
}

function otherType(merged: TreeNode, shown: TreeNode, facts: LayerFacts): Finding {
  if (merged.inode.type === 'symlink' && shown.children !== undefined) {
    const target = printable(toText(merged.inode.linkTarget), 200)
    if (isBare(shown))
      return {
        rule: 'whiteout-through-symlink',
        overlayfs: `a directory in place of the symlink to ${target}`,
      }
    return {
      rule: 'parent-symlink',
      overlayfs: `a directory in place of the symlink to ${target}, with only what this layer adds`,
    }
  }
  if (shown.children !== undefined && isBare(shown))
    return { rule: 'whiteout-of-missing-path', overlayfs: `a directory in place of the ${merged.inode.type}` }
  if (isOutdated(merged, shown, facts)) return outdated(shown)
  return { rule: 'other', overlayfs: `a ${shown.inode.type} in place of the ${merged.inode.type}` }
}

/** A directory with nothing but such directories in it. */
function isBare({ children }: TreeNode): boolean {
  return children !== undefined && [...children.values()].every(isBare)
}

function kindOf({ inode: { type } }: TreeNode): string {
  return `a ${type}`
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

function whyAt(paths: ReadonlyMap<string, string>, names: Difference['names']): string | undefined {
  if (paths.size === 0) return undefined
  for (let length = names.length; length > 0; length -= 1) {
    const why = paths.get(names.slice(0, length).join('/'))
    if (why !== undefined) return why
  }
  return undefined
}

function liesIn(paths: ReadonlySet<string>, names: Difference['names']): boolean {
  if (paths.size === 0) return false
  return names.some((_, index) => paths.has(names.slice(0, index + 1).join('/')))
}
