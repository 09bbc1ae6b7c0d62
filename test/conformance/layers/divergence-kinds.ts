/** The headings under which docs/layer-divergences.md tells the table, and what they mean to a user. */

export interface DivergenceKind {
  readonly title: string
  /** What is right, and what others do instead. */
  readonly text: string
  /** Numbers of cases, without the letters of their parts, or what ids begin with. */
  readonly cases: readonly (number | string)[]
}

export const DIVERGENCE_KINDS: readonly DivergenceKind[] = [
  {
    title: 'A whiteout and an entry of one name in one layer',
    text: 'A whiteout hides what lower layers have, wherever it stands in the archive, and never an entry of its own layer. Tools that make a device node of every whiteout find the name taken, or take the new entry away again.',
    cases: [1, 2, 3, 4, 6, 71],
  },
  {
    title: 'A directory that is removed and made again',
    text: 'The new directory has nothing of the old one. overlayfs shows the lower children again unless the layer also has an opaque marker.',
    cases: [5, 7],
  },
  {
    title: 'Opaque markers, and whiteouts without anything to hide',
    text: 'A marker hides and leaves nothing behind. On overlayfs a whiteout in a directory that lower layers do not have stays as a ghost: the name is listed, and cannot be opened. A marker at the root is not seen at all.',
    cases: [34, 36, 38, 39],
  },
  {
    title: 'Names that belong to whiteouts',
    text: 'Names that begin with `.wh.` are never in the result: they are whiteouts, bookkeeping of AUFS, or an error.',
    cases: [31, 32, 33, 37],
  },
  {
    title: 'Symlinks of lower layers as parents',
    text: 'An entry below the name of a lower symlink belongs where the link leads, inside the root: this is what the builder of the image saw. Engines that unpack each layer into a folder of its own cannot see the link and put a directory in its place; everything behind the link is then gone from that path.',
    cases: [10, 11, 12, 13, 35, 51],
  },
  {
    title: 'Hard links to files of lower layers',
    text: 'A hard link shares the inode that its target has at that moment, in whatever layer it lies. Engines that unpack each layer into a folder of its own do not find the target.',
    cases: [15, 16, 17, 18, 19, 20, 21, 22, 72, 73],
  },
  {
    title: 'Files in the way of files and directories',
    text: 'An entry replaces what has its name, and an entry below something that is no directory is an error. Names that occur twice are forbidden; the last one wins, as it does when an archive is simply extracted.',
    cases: [8, 9, 14, 23, 24, 25, 69],
  },
  {
    title: 'The root, and names that lead out of it',
    text: 'The root is a directory, 0755 and 0:0, whatever layers say about it. A name that leads above the root with `..` is refused, where others take the rest of the name as if it began at the root.',
    cases: [26, 27, 28, 29, 30],
  },
  {
    title: 'Attacks',
    text: 'Layers made to write, read or delete outside of the root. Where a tool does so, that is said; all else is about what is refused and what is made harmless.',
    cases: ['breakout'],
  },
  {
    title: 'Attributes: mode, owner, time, extended attributes, devices',
    text: 'What an image says of a file is kept to the bit, or the image is refused. Fairlead makes no device nodes, keeps of extended attributes `user.*` and `security.capability`, and nothing that steers overlayfs.',
    cases: [40, 41, 42, 43, 44, 45, 46, 67, 68],
  },
  {
    title: 'Names and extended headers',
    text: 'Names are bytes. PAX records win over GNU headers, and both over the header itself, each for the one entry that follows; global headers mean nothing.',
    cases: [47, 48, 49, 50, 52, 53, 54],
  },
  {
    title: 'Sparse files, other types, damaged archives',
    text: 'An archive that is cut off, or that has entries whose meaning readers disagree about, is refused; what is after its end counts for the digest and for nothing else.',
    cases: [55, 56, 57, 58, 59, 70],
  },
  {
    title: 'Compression and media types',
    text: 'gzip with several members, zstd with several frames; the bytes decide, not the label.',
    cases: [60, 61, 62],
  },
  {
    title: 'Digests, sizes and numbers that lie',
    text: 'Every byte is checked against the digest of the blob and the DiffID of the layer, before anything can be used.',
    cases: [63, 64, 66],
  },
  {
    title: 'Bombs',
    text: 'What would fill memory or disk is refused by a limit that can be set.',
    cases: [65],
  },
  {
    title: 'Real images',
    text: 'For ordinary images all tools agree, but for what is said above of every case.',
    cases: ['image'],
  },
]

/** Of a case's id: `45b`, `breakout-…`. */
export function kindOf(id: string): DivergenceKind | undefined {
  const key = /^\d/.test(id) ? Number.parseInt(id, 10) : (id.split('-', 1)[0] ?? '')
  return DIVERGENCE_KINDS.find(({ cases }) => cases.includes(key))
}
