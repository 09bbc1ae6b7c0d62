/** The resources that both engines must say the same about, with the images that they need. */
import { busyboxImage } from '../support/busybox-image.ts'
import { HOOK_PARTS, HOOK_VOLUMES, REFUSED_HOOKS } from '../support/hook-cases.ts'
import { dir, file, layer, symlink } from '../support/layer.ts'
import type { BuiltImage } from '../support/layout.ts'

export interface Row {
  /** Also the app's name. */
  readonly name: string
  /** Tag of the image below; a tag that is not there is pushed by nobody. */
  readonly image: string
  readonly spec?: Readonly<Record<string, unknown>>
  /** What `Ready` comes to: status and reason. */
  readonly ready: string
  /** Where a cluster is unlike one host: its own word. */
  readonly onCluster?: string
  /**
   * What is known of programs on the volumes differs: before the first start only a cluster has tried (in the preflight
   * pod), and a memory volume is tried by nobody there.
   */
  readonly execUnlike?: boolean
  /** The local engine reads the image from a read-only layout, the cluster's controller through a mapping to it. */
  readonly fromLayout?: boolean
}

const EXEC = { mode: 0o755 }
const SAME_TIME = { mtime: 1_700_000_000 }

export const IMAGES: Readonly<Record<string, BuiltImage>> = {
  plain: busyboxImage(),
  volumes: busyboxImage({
    parts: [
      dir('data', { uid: 2000, gid: 2000 }),
      file('data/seed', 'seed', { uid: 2000, gid: 2000 }),
      dir('plugins'),
      file('plugins/run', '#!/bin/sh\n', EXEC),
    ],
    config: { Volumes: ['/data', '/plugins', '/made-by-nobody'] },
  }),
  hooks: busyboxImage({ parts: HOOK_PARTS, config: { User: 'app' } }),
  // Equal size, equal time: what is decided by them keeps the link that leads nowhere (row 5).
  equal: busyboxImage({
    layers: [
      layer([dir('entry'), symlink('entry/sh', '../bin/nothing', SAME_TIME)]),
      layer([symlink('entry/sh', '../bin/busybox', SAME_TIME)]),
    ],
    config: {
      Entrypoint: ['/entry/sh', '-c'],
      Cmd: ['trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'],
    },
  }),
  'no-entrypoint': busyboxImage({ config: { Entrypoint: ['/opt/none'], Cmd: [] } }),
  'no-command': busyboxImage({ config: { Entrypoint: [], Cmd: [] } }),
  'no-user': busyboxImage({ config: { User: 'nobody-here' } }),
  'file-as-volume': busyboxImage({ config: { Volumes: ['/etc/passwd'] } }),
  crashing: busyboxImage({ run: 'exit 3' }),
}

const REFUSALS: readonly Row[] = REFUSED_HOOKS.map(([, path, reason], index) => ({
  name: `hook-${index}`,
  image: 'hooks',
  spec: { volumes: HOOK_VOLUMES, hooks: [{ path }] },
  ready: `False ${reason}`,
  // Only the local engine has a host on which the hook could have been meant to be.
  ...(reason === 'HookOnHostOnly' ? { onCluster: 'False ExecNotFound' } : {}),
}))

export const ROWS: readonly Row[] = [
  { name: 'nothing-special', image: 'plain', ready: 'True Running' },
  { name: 'row-1-volumes', image: 'volumes', ready: 'True Running' },
  {
    name: 'row-1-own-words',
    image: 'volumes',
    spec: {
      volumes: [
        { path: '/data', exec: 'Any' },
        { path: '/extra' },
        { path: '/scratch', medium: 'Memory', size: '1Mi' },
      ],
    },
    execUnlike: true,
    ready: 'True Running',
  },
  { name: 'row-2-tag', image: 'plain', ready: 'True Running' },
  { name: 'row-3-layout', image: 'volumes', fromLayout: true, ready: 'True Running' },
  {
    name: 'row-4-hook',
    image: 'hooks',
    spec: { volumes: HOOK_VOLUMES, hooks: [{ path: '/hooks/good' }] },
    ready: 'True Running',
    onCluster: 'False HooksUnsupported',
  },
  ...REFUSALS,
  { name: 'row-5-equal', image: 'equal', ready: 'True Running' },
  { name: 'suspended', image: 'volumes', spec: { suspend: true }, execUnlike: true, ready: 'True Suspended' },
  { name: 'no-image', image: 'nobody-pushed-it', ready: 'False ImageNotFound' },
  { name: 'no-entrypoint', image: 'no-entrypoint', ready: 'False ExecNotFound' },
  { name: 'no-command', image: 'no-command', ready: 'False CommandMissing' },
  { name: 'no-user', image: 'no-user', ready: 'False UserNotFound' },
  { name: 'file-as-volume', image: 'file-as-volume', ready: 'False VolumeNotDirectory' },
  { name: 'crashing', image: 'crashing', ready: 'False CrashLoopBackOff' },
]
