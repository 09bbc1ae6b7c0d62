/** Small real images: Debian's static busybox as the whole system, plus what a test adds. */
import { readFileSync } from 'node:fs'
import { buildImage, type BuiltImage, type ConfigInput } from './layout.ts'
import { dir, file, layer, symlink, type LayerPart } from './layer.ts'

const APPLETS = [
  'sh',
  'cat',
  'echo',
  'ls',
  'id',
  'env',
  'sleep',
  'stat',
  'mount',
  'grep',
  'kill',
  'rm',
  'mkdir',
  'touch',
  'wc',
  'true',
  'false',
  'nc',
  'dd',
]

let base: Buffer | undefined

/** `/bin/busybox` with links, users root and app (2000:2000), /tmp. */
export function busyboxLayer(): Buffer {
  base ??= layer([
    dir('bin'),
    file('bin/busybox', readFileSync('/bin/busybox'), { mode: 0o755 }),
    ...APPLETS.map((name) => symlink(`bin/${name}`, 'busybox')),
    dir('etc'),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\napp:x:2000:2000:app:/home/app:/bin/sh\n'),
    file('etc/group', 'root:x:0:\napp:x:2000:\n'),
    dir('tmp', { mode: 0o1777 }),
    dir('home'),
    dir('home/app', { uid: 2000, gid: 2000 }),
  ])
  return base
}

export interface BusyboxInput {
  /** Shell text that the container runs. */
  readonly run?: string
  readonly parts?: readonly LayerPart[]
  readonly layers?: readonly Buffer[]
  readonly config?: ConfigInput
}

export function busyboxImage(input: BusyboxInput = {}): BuiltImage {
  const own = input.parts === undefined ? [] : [layer(input.parts)]
  return buildImage({
    layers: [busyboxLayer(), ...own, ...(input.layers ?? [])],
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh', '-c', input.run ?? WAIT_FOREVER], ...input.config },
  })
}

/** Ends at once on SIGTERM, as a well-behaved app does. */
export const WAIT_FOREVER = 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'
