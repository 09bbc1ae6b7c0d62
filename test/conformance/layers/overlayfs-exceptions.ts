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
    cases: ['55l', '55p', '56h', '57e'],
  },
  {
    why: 'descriptors that lie are refused; containerd looks at the digest alone',
    cases: ['63b', '63c', '66d'],
  },
  {
    why: 'attributes that steer overlayfs are never written, and what a build machine left is dropped; containerd keeps the one and fails on the other',
    cases: ['44b', '44c'],
  },
  {
    why: 'the reader of Go knows no such archives: old sparse files, typeflag 7, directories typed as files, base64 attributes',
    cases: ['43f', '55a', '55a2', '55a3', '55a4', '55b3', '55c3', '55g', '56b', '56g'],
  },
  {
    why: 'the reader of Go takes other headers for the name',
    cases: ['48f', '53d'],
  },
  {
    why: 'the reader of Go knows no padding between gzip members, and believes a label that says tar',
    cases: ['60b', '60c', '62c'],
  },
  {
    why: 'how long a path may be depends on where a node keeps its snapshots',
    cases: ['47c', '47f'],
  },
]
