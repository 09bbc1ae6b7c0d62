/** Where our model of overlayfs is not what containerd does, and why it is not meant to be. */

export interface Exception {
  readonly why: string
  /** Ids of cases. */
  readonly cases: readonly string[]
}

export const OVERLAYFS_EXCEPTIONS: readonly Exception[] = [
  {
    why: 'names and links that lead out of the root are refused under either semantics, never made harmless',
    cases: [
      '29a',
      '29b',
      '29c',
      '29d',
      'breakout-symlink-parent',
      'breakout-whiteout-above',
      'breakout-pax-path',
      'breakout-prefix',
    ],
  },
  {
    why: 'a root that is no directory is refused under either semantics',
    cases: ['27a', '27b', '27c', 'breakout-symlink-empty', 'breakout-symlink-with-trailing-slash'],
  },
  {
    why: 'a layer that has entries below a whiteout means nothing that could be unpacked',
    cases: ['31e', 'breakout-whiteout-folder'],
  },
  {
    why: "an owner that cannot be set is refused; containerd makes the file root's",
    cases: ['46c', '46d', '46e'],
  },
  {
    why: 'archives that are damaged or whose meaning is unknown are refused; containerd takes what it can read',
    cases: ['55l', '55p', '55t', '55t2', '55u', '55w', '56h', '57e'],
  },
  {
    why: 'descriptors that lie are refused; containerd looks at the digest alone',
    cases: ['63b', '63c', '66d'],
  },
  {
    why: "an attribute that steers overlayfs is never written, and told as left out; containerd keeps the user's form of it",
    cases: ['44b'],
  },
  {
    why: 'two names that meet behind a symlink are told as one; buildah compares names as they are written',
    cases: ['breakout-truncate-through-symlink'],
  },
  {
    why: 'how long a path may be depends on where a node keeps its snapshots',
    cases: ['47c', '47f'],
  },
]
