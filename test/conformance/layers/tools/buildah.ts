/** buildah, with one of the drivers of its storage: a container is made of the image and its file system mounted. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { failureOf } from './fail-words.ts'
import { programVersion } from './program-version.ts'
import { ROOM_FOLDER, type Room } from './room.ts'
import type { Failure, Job, Tool, Unpacked } from './tool.ts'

export const BUILDAH_VFS: Tool = buildah('vfs')
export const BUILDAH_OVERLAY: Tool = buildah('overlay')

const SETTINGS = `${ROOM_FOLDER}/containers.conf`
/** It takes a lock among the machine's networks, even for a container that has none. */
const CONFIG = `[network]\nnetwork_config_dir = "${ROOM_FOLDER}/networks"\n`

function buildah(driver: 'vfs' | 'overlay'): Tool {
  return {
    name: `buildah-${driver}`,
    version: () => programVersion('buildah'),
    open: async (room) => {
      await writeFile(path.join(room.folder, path.basename(SETTINGS)), CONFIG)
      return {
        unpack: (job) => unpack(room, driver, job),
      }
    },
  }
}

/** Prints where the container's file system is. */
const UNPACK = `
  set -e
  export CONTAINERS_CONF="$1"
  image="$2"
  shift 2
  buildah "$@" from --name case "$image" >&2
  exec buildah "$@" mount case
`

/** A store for each image: what a failed one leaves, and layers that two images share, would change the next. */
async function unpack(room: Room, driver: string, { layout, tag, id }: Job): Promise<Unpacked | Failure> {
  const folder = `${ROOM_FOLDER}/buildah-${driver}-${id}`
  const store = ['--root', `${folder}/root`, '--runroot', `${folder}/run`, '--storage-driver', driver]
  const image = `oci:${layout}:${tag}`
  const result = await room.run(['sh', '-c', UNPACK, 'sh', SETTINGS, image, ...store])
  if (result.code !== 0) return { failure: failureOf(result, 'buildah') }
  return { root: room.seen(result.stdout.trim()) }
}
