/**
 * Our model of overlayfs next to what containerd really shows: under `layerSemantics: overlayfs` the trees must be the
 * same, and the divergence report of `spec` must name every difference and nothing else.
 */
import type { Divergence } from '../../../src/rootfs/types.ts'
import { compareLines, pathOf, type Outcome } from './compare.ts'
import type { Answer } from './run-in-memory.ts'

/** Lines about what is not the same; empty when all is. */
export function modelProblems(model: Answer, containerd: Outcome): readonly string[] {
  if ('failure' in containerd)
    return 'error' in model ? [] : [`containerd fails, the model does not: ${containerd.failure}`]
  if ('error' in model) return [`the model fails, containerd does not: ${model.message}`]
  return compareLines(model.tree, withoutGhosts(containerd.lines)).differences
}

/** Names that can be listed and not opened exist on overlayfs alone; no unpacker can make them. */
function withoutGhosts(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !line.endsWith(' ghost'))
}

const FAILS = 'unpacking fails'
/** Of some things the report tells that containerd is not concerned, and who is. */
const OF_BUILDAH = 'CRI-O and buildah'

export interface Nodes {
  readonly containerd: Outcome
  readonly buildah: Outcome
}

/** What the report does not tell, or tells though it is not so. An image that is refused has no report. */
export function reportProblems(ours: Answer, { containerd, buildah }: Nodes): readonly string[] {
  if ('error' in ours) return []
  const ofBuildah = ours.divergences.filter(({ overlayfs }) => overlayfs.includes(OF_BUILDAH))
  const told = ours.divergences.filter((divergence) => !ofBuildah.includes(divergence))
  return [
    ...ofBuildah.filter((divergence) => !isSo(divergence, ours.tree, buildah)).map(notSo),
    ...missedOf(told, ours.tree, containerd),
    ...told.filter((divergence) => !isSo(divergence, ours.tree, containerd)).map(notSo),
  ]
}

function missedOf(
  told: readonly Divergence[],
  tree: readonly string[],
  containerd: Outcome,
): readonly string[] {
  if ('failure' in containerd)
    return told.some(saysFails) ? [] : [`not told that unpacking fails: ${containerd.failure}`]
  if (told.some(saysFails)) return []
  const missed = differingPaths(tree, containerd).filter(
    (path) => !told.some((divergence) => isAt(path, reportedPath(divergence))),
  )
  return missed.map((path) => `not told: ${path}`)
}

function isSo(divergence: Divergence, tree: readonly string[], node: Outcome): boolean {
  if ('failure' in node) return saysFails(divergence) || divergence.overlayfs.includes(OF_BUILDAH)
  if (saysFails(divergence)) return false
  return differingPaths(tree, node).some((path) => isAt(path, reportedPath(divergence)))
}

function saysFails({ overlayfs }: Divergence): boolean {
  return overlayfs.startsWith(FAILS)
}

function notSo({ path, rule, overlayfs }: Divergence): string {
  return `told, but not so: ${path} (${rule}): ${overlayfs}`
}

function differingPaths(
  tree: readonly string[],
  node: { readonly lines: readonly string[] },
): readonly string[] {
  return [...new Set(compareLines(tree, node.lines).differences.map(differencePath))]
}

function differencePath(difference: string): string {
  return pathOf(difference.slice('- '.length))
}

function reportedPath({ path }: Divergence): string {
  return path.slice(1)
}

/** Of a subtree the report names only the top. */
function isAt(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`)
}
