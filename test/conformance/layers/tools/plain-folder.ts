/** For tools that unpack into a folder of their choice: the folder, and whether anything beside it was touched. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ROOM_FOLDER, type Room } from './room.ts'

const CANARY = 'canary'
const SONG = 'still here\n'

export interface PlainFolder {
  /** Not there yet; a path inside the room. */
  readonly target: string
  /** Why the tool cannot be trusted; undefined when everything beside the target is as it was. */
  escape(): Promise<string | undefined>
}

export async function plainFolder(room: Room, id: string): Promise<PlainFolder> {
  const folder = path.join(room.folder, 'out', id)
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, CANARY), SONG)
  const escape = async (): Promise<string | undefined> => {
    const names = await readdir(folder).catch(() => [])
    const others = names.filter((name) => name !== CANARY && name !== 'rootfs')
    const song = await readFile(path.join(folder, CANARY), 'utf8').catch(() => '')
    return song === SONG && others.length === 0 ? undefined : 'it changed files outside of its folder'
  }
  return { target: `${ROOM_FOLDER}/out/${id}/rootfs`, escape }
}
