/** umoci: unpacks into a plain folder. `raw unpack`, which is `unpack` without a runtime's configuration. */
import { failureOf } from './fail-words.ts'
import { programVersion } from './program-version.ts'
import { ROOM_FOLDER } from './room.ts'
import type { Tool } from './tool.ts'

export const UMOCI: Tool = {
  name: 'umoci',
  version: () => programVersion('umoci'),
  open: async (room) => ({
    unpack: async ({ layout, tag, id }) => {
      const out = `${ROOM_FOLDER}/umoci-${id}`
      const result = await room.run(['umoci', 'raw', 'unpack', '--image', `${layout}:${tag}`, out])
      return result.code === 0 ? { root: room.seen(out) } : { failure: failureOf(result, 'umoci') }
    },
  }),
}
