/** containerd with its overlayfs snapshotter, as on Kubernetes nodes: a daemon in the room, driven by ctr. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { clusterBinaries } from '../../../../scripts/lib/cluster-binaries.ts'
import { failureOf } from './fail-words.ts'
import { programVersion } from './program-version.ts'
import { ROOM_FOLDER, type Room } from './room.ts'
import type { Failure, Job, Tool, Unpacked } from './tool.ts'

const SOCKET = `${ROOM_FOLDER}/containerd.sock`
const READY_WITHIN_MS = 60_000
const POLL_MS = 20

/** Nothing that runs containers or needs a kernel's help. */
export const UNUSED_PLUGINS = [
  'grpc.v1.cri',
  'cri.v1.images',
  'cri.v1.runtime',
  'nri.v1.nri',
  'internal.v1.opt',
  'internal.v1.tracing',
  'image-verifier.v1.bindir',
  'monitor.container.v1.restart',
  ...['blockfile', 'btrfs', 'devmapper', 'erofs', 'native', 'zfs'].map((name) => `snapshotter.v1.${name}`),
].map((name) => `io.containerd.${name}`)

const CONFIG = `version = 3
root = "${ROOM_FOLDER}/containerd"
state = "${ROOM_FOLDER}/containerd-state"
disabled_plugins = ${JSON.stringify(UNUSED_PLUGINS)}

[grpc]
address = "${SOCKET}"

# The store lives as long as this run.
[plugins.'io.containerd.metadata.v1.bolt']
no_sync = true
`

export const CONTAINERD: Tool = {
  name: 'containerd',
  version: async () => await programVersion((await clusterBinaries()).containerd),
  open: async (room) => {
    const programs = await clusterBinaries()
    await startDaemon(room, programs.containerd, programs.ctr)
    return { unpack: (job) => unpack(room, programs.ctr, job) }
  },
}

async function startDaemon(room: Room, containerd: string, ctr: string): Promise<void> {
  await writeFile(path.join(room.folder, 'containerd.toml'), CONFIG)
  const daemon = room.start([containerd, '--config', `${ROOM_FOLDER}/containerd.toml`])
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    const answer = await room.run([ctr, '--address', SOCKET, 'version'])
    if (answer.code === 0) return
    if (daemon.exitCode !== null || performance.now() > deadline)
      throw new Error(`containerd did not start: ${answer.stderr.trim()}`)
    await delay(POLL_MS)
  }
}

/** `ctr images mount` unpacks, and shows the snapshot as a container would get it. */
const UNPACK = `
  set -e
  tar -C "$3" -cf "$5.tar" .
  mkdir "$5"
  "$1" --address ${SOCKET} --namespace "$2" images import --no-unpack --base-name "case.invalid/$2" "$5.tar"
  exec "$1" --address ${SOCKET} --namespace "$2" images mount --snapshotter overlayfs "case.invalid/$2:$4" "$5"
`

/** A namespace for each image: containerd takes layers that it has from an earlier one, unpacked. */
async function unpack(room: Room, ctr: string, { layout, tag, id }: Job): Promise<Unpacked | Failure> {
  const target = `${ROOM_FOLDER}/containerd-${id}`
  const result = await room.run(['sh', '-c', UNPACK, 'sh', ctr, id, layout, tag, target])
  return result.code === 0 ? { root: room.seen(target) } : { failure: failureOf(result, 'containerd') }
}
