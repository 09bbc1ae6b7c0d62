/** umoci: unpacks into a plain folder. `raw unpack`, which is `unpack` without a runtime's configuration. */
import { failureOf } from './fail-words.ts'
import { plainFolder } from './plain-folder.ts'
import { programVersion } from './program-version.ts'
import type { Tool } from './tool.ts'

export const UMOCI: Tool = {
  name: 'umoci',
  version: () => programVersion('umoci'),
  open: async (room) => ({
    unpack: async ({ layout, tag, id }) => {
      const { target, escape } = await plainFolder(room, id)
      const result = await room.run(['umoci', 'raw', 'unpack', '--image', `${layout}:${tag}`, target])
      const failure = (await escape()) ?? (result.code === 0 ? undefined : failureOf(result, 'umoci'))
      return failure === undefined ? { root: room.seen(target) } : { failure }
    },
  }),
}
