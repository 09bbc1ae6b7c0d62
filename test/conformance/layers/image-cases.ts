/**
 * The cases that layers alone do not decide: what the config declares (VOLUME, user) meets what the merged tree has.
 */
import { dir, fifo, file, hardlink, symlink, type LayerPart } from '../../support/layer.ts'

export interface VolumeCase {
  readonly id: string
  readonly title: string
  readonly parts: readonly LayerPart[]
  /** Keys of `config.Volumes`. */
  readonly declared: readonly string[]
  /** `PATH` or, where symlinks lead elsewhere, `PATH at PLACE`; or `Reason: part of the message`. */
  readonly expected: readonly string[]
}

const DATA = [dir('data'), file('data/f', 'F')]

export const VOLUME_CASES: readonly VolumeCase[] = [
  {
    id: '74a',
    title: 'a VOLUME that is a file',
    parts: [file('data', 'x')],
    declared: ['/data'],
    expected: ['VolumeNotDirectory: is a file'],
  },
  {
    id: '74b',
    title: 'a VOLUME that is a symlink',
    parts: [...DATA, symlink('l', 'data')],
    declared: ['/l'],
    expected: ['/l at /data'],
  },
  {
    id: '74c',
    title: 'a VOLUME that is a symlink out of the image',
    parts: [dir('etc'), symlink('l', '../../../etc')],
    declared: ['/l'],
    expected: ['/l at /etc'],
  },
  {
    id: '74d',
    title: 'a VOLUME in another',
    parts: [...DATA, dir('data/in')],
    declared: ['/data', '/data/in'],
    expected: ['/data', '/data/in'],
  },
  {
    id: '74e',
    title: 'a VOLUME that is the root',
    parts: DATA,
    declared: ['/'],
    expected: ['VolumePathInvalid: is the root'],
  },
  {
    id: '74f',
    title: 'a relative VOLUME',
    parts: DATA,
    declared: ['data'],
    expected: ['VolumePathInvalid: does not begin with /', '/data'],
  },
  {
    id: '74g',
    title: 'a VOLUME with ".." in the middle',
    parts: DATA,
    declared: ['/none/../data/'],
    expected: ['/data'],
  },
  {
    id: '74h',
    title: 'a VOLUME that climbs above the root',
    parts: DATA,
    declared: ['/../../data'],
    expected: ['/data'],
  },
  {
    id: '74i',
    title: 'a VOLUME that a symlink loop leads to',
    parts: [symlink('a', 'b'), symlink('b', 'a')],
    declared: ['/a/x'],
    expected: ['VolumePathInvalid: loop'],
  },
  {
    id: '74j',
    title: 'a VOLUME that is missing',
    parts: DATA,
    declared: ['/new/deep'],
    expected: ['/new/deep'],
  },
  {
    id: '74k',
    title: 'a VOLUME below a file',
    parts: DATA,
    declared: ['/data/f/x'],
    expected: ['VolumePathInvalid: '],
  },
  {
    id: '74l',
    title: 'a VOLUME below /proc',
    parts: DATA,
    declared: ['/proc/self/fd/7'],
    expected: ['VolumePathInvalid: belongs to the runtime'],
  },
  {
    id: '74m',
    title: 'a VOLUME through a symlink to /proc',
    parts: [symlink('l', '/proc')],
    declared: ['/l/x'],
    expected: ['VolumePathInvalid: /proc'],
  },
]

export interface UserCase {
  readonly id: string
  readonly title: string
  readonly parts: readonly LayerPart[]
  /** `uid:gid` of the user `app`; or `Reason: part of the message`. */
  readonly expected: string
}

const APP = 'root:x:0:0::/:\napp:x:12:13::/app:\n'
const ETC = dir('etc')
/** More than any list of users has. */
const HUGE = Buffer.alloc(11 * 1024 ** 2, APP)

export const USER_CASES: readonly UserCase[] = [
  {
    id: '75a',
    title: '/etc/passwd as a symlink',
    parts: [ETC, symlink('etc/passwd', '/nix/passwd'), file('nix/passwd', APP)],
    expected: '12:13',
  },
  {
    id: '75b',
    title: '/etc/passwd as a symlink out of the image',
    parts: [ETC, symlink('etc/passwd', '../../../nix/passwd'), file('nix/passwd', APP)],
    expected: '12:13',
  },
  {
    id: '75c',
    title: '/etc/passwd as a symlink to nothing',
    parts: [ETC, symlink('etc/passwd', '/none')],
    expected: 'UserNotFound: app',
  },
  {
    id: '75d',
    title: '/etc/passwd as a directory',
    parts: [ETC, dir('etc/passwd')],
    expected: 'UserNotFound: is a directory',
  },
  {
    id: '75e',
    title: '/etc/passwd as a FIFO',
    parts: [ETC, fifo('etc/passwd')],
    expected: 'UserNotFound: is a fifo',
  },
  {
    id: '75f',
    title: '/etc/passwd of 11 MiB',
    parts: [ETC, file('etc/passwd', HUGE)],
    expected: 'UserNotFound: at most 10485760',
  },
  {
    id: '75g',
    title: '/etc/passwd with CRLF',
    parts: [ETC, file('etc/passwd', APP.replaceAll('\n', '\r\n'))],
    expected: '12:13',
  },
  {
    id: '75h',
    title: '/etc/passwd as a hard link',
    parts: [ETC, file('p', APP), hardlink('etc/passwd', 'p')],
    expected: '12:13',
  },
  {
    id: '75i',
    title: '/etc as a symlink',
    parts: [symlink('etc', 'conf'), file('conf/passwd', APP)],
    expected: '12:13',
  },
]

/** Cases whose test needs a machine: the number, the file below test/, and the test's title. */
export const ELSEWHERE: readonly { readonly id: string; readonly file: string; readonly title: string }[] = [
  {
    id: '76',
    file: 'e2e/seed.test.ts',
    title:
      'a file with names inside and outside of a VOLUME: the copy has its bytes, and the image keeps both names',
  },
]
