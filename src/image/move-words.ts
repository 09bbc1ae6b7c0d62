/** What a tag's move would bring, short enough for a condition's message. Pure. */
import { configChanges, type ConfigChange } from './config-diff.ts'
import type { ResolvedImage } from './types.ts'

/** Bytes of the words: a condition's message holds them together with reference, digest and advice in 1 KiB. */
export const MOVE_WORDS_MAX_BYTES = 560

/** `adds VOLUME /data, user root → 2000, drops arm64`; never empty, without values of env and labels. */
export function moveWords(from: ResolvedImage, to: ResolvedImage): string {
  const changes = configChanges(from, to)
  return changes.length === 0 ? layerWords(from, to) : boundedList(changes)
}

/** The first changes that fit, and how many there are besides. */
function boundedList(changes: readonly ConfigChange[]): string {
  const shown: string[] = []
  let room = MOVE_WORDS_MAX_BYTES - Buffer.byteLength(more(changes.length))
  for (const { brief } of changes) {
    room -= Buffer.byteLength(brief) + 2
    if (room < 0) break
    shown.push(brief)
  }
  const left = changes.length - shown.length
  return `${shown.join(', ')}${left === 0 ? '' : more(left)}`
}

function more(count: number): string {
  return ` and ${count} more`
}

/** By DiffID: the same content compressed anew is no change. */
function layerWords(from: ResolvedImage, to: ResolvedImage): string {
  const before = new Set(from.config.diffIds)
  const all = to.config.diffIds
  const fresh = all.filter((diffId) => !before.has(diffId)).length
  const counted = `${fresh} of ${all.length} ${all.length === 1 ? 'layer' : 'layers'}`
  if (fresh > 0) return `the configuration is the same, ${counted} ${fresh === 1 ? 'is' : 'are'} new`
  return all.length === before.size
    ? 'configuration and layers are the same'
    : 'the configuration is the same, no layer is new'
}
