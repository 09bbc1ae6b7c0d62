/** The divergences of an image in one sentence; the report has all of them. */
import { printable } from '../errors.ts'
import type { Divergence } from './types.ts'

const FAILS = 'unpacking fails: '

/** Undefined when nodes with overlayfs show the same. */
export function divergenceText(divergences: readonly Divergence[]): string | undefined {
  const failing = divergences.filter(({ overlayfs }) => overlayfs.startsWith(FAILS))
  const [first] = failing.length > 0 ? failing : divergences
  if (first === undefined) return undefined
  const refused = failing.find(({ rule }) => rule === 'archive-refused')
  if (refused !== undefined) return `no node can unpack the image: ${reasonAt(refused)}`
  const place = `${printable(first.path, 200)} (layer ${first.layer}, ${first.rule})`
  if (failing.length > 0)
    return `nodes with overlayfs can't unpack the image, for ${countOf(failing, 'reason')}, first ${place}: ${first.overlayfs.slice(FAILS.length)}`
  return `nodes with overlayfs show something else than the image specification says in ${countOf(divergences, 'place')}, first ${place}: ${first.overlayfs}`
}

/** Of a whole layer there is no path to tell. */
function reasonAt({ path, layer, rule, overlayfs }: Divergence): string {
  const place = path === '/' ? `layer ${layer}` : `${printable(path, 200)} (layer ${layer}, ${rule})`
  return `${place}: ${overlayfs.slice(FAILS.length)}`
}

function countOf(divergences: readonly Divergence[], what: string): string {
  return divergences.length === 1 ? `1 ${what}` : `${divergences.length} ${what}s`
}
