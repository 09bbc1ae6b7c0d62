/**
 * Equal files of several stored layers are one file on disk. In a tree they are several files still: whatever copies
 * the tree, or looks for hard links, must not take them for one.
 */
import type { ByteString } from '../../../image/bytes.ts'
import type { Inode } from '../../../rootfs/types.ts'

const LAYER_NAME_CHARS = 12

/**
 * What a file of a stored layer is called by links to it in other layers; `layer` is the name of its folder. Where two
 * are called alike by chance, that costs a copy and no more.
 */
export function storedName(layer: string, file: ByteString): string {
  return `${layer.slice(-LAYER_NAME_CHARS)}/${file}`
}

/** Of inodes that would be one file on disk all but the first. `layerName` is the folder of a layer's number. */
export function inodesOfTheirOwn(
  inodes: readonly Inode[],
  layerName: (layer: number) => string,
): ReadonlySet<Inode> {
  const own = new Set<Inode>()
  const links = linksAmong(inodes)
  const repeated = repeatedLayers(inodes, layerName)
  if (links.size === 0 && repeated.size === 0) return own
  const seen = new Set<string>()
  for (const inode of inodes) {
    const { content, layer } = inode
    if (content?.file === undefined) continue
    const name = content.sameAs ?? storedName(layerName(layer), content.file)
    if (!links.has(name) && !repeated.has(layer)) continue
    if (seen.has(name)) own.add(inode)
    else seen.add(name)
  }
  return own
}

/** What files are links to. Few are, of very many: nothing is made for the others. */
function linksAmong(inodes: readonly Inode[]): ReadonlySet<string> {
  const links = new Set<string>()
  for (const { content } of inodes) if (content?.sameAs !== undefined) links.add(content.sameAs)
  return links
}

/** An image may have one layer twice: both have the same stored files. */
function repeatedLayers(inodes: readonly Inode[], layerName: (layer: number) => string): ReadonlySet<number> {
  const byName = new Map<string, number[]>()
  for (const layer of new Set(inodes.map(({ layer }) => layer))) {
    const name = layerName(layer)
    byName.set(name, [...(byName.get(name) ?? []), layer])
  }
  return new Set([...byName.values()].filter(({ length }) => length > 1).flat())
}
