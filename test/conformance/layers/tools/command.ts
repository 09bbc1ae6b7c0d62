/** Any unpacker that can be started from a shell. */
import { shellQuote } from '../../../../src/bundle/shell-quote.ts'
import { failureOf } from './fail-words.ts'
import { plainFolder } from './plain-folder.ts'
import type { Tool } from './tool.ts'
import { UsageError } from '../../usage-error.ts'

const PLACES = ['{layout}', '{tag}', '{out}'] as const

/**
 * `command` is a line for sh in which `{layout}` and `{tag}` name the image and `{out}` a folder that is not there yet
 * and has the tree when the command has ended with code 0.
 */
export function commandTool(command: string): Tool {
  const missing = PLACES.filter((place) => !command.includes(place))
  if (missing.length > 0) throw new UsageError(`the command lacks ${missing.join(', ')}: ${command}`)
  return {
    name: command.trim().split(/\s/, 1)[0] ?? 'command',
    version: async () => 'unknown',
    open: async (room) => ({
      unpack: async ({ layout, tag, id }) => {
        const { target, escape } = await plainFolder(room, id)
        const line = command
          .replaceAll('{layout}', shellQuote(layout))
          .replaceAll('{tag}', shellQuote(tag))
          .replaceAll('{out}', shellQuote(target))
        const result = await room.run(['sh', '-c', line])
        const failure = (await escape()) ?? (result.code === 0 ? undefined : failureOf(result, 'the command'))
        return failure === undefined ? { root: room.seen(target) } : { failure }
      },
    }),
  }
}
