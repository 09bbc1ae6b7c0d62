/** When two files are the same to whoever looks at a node. */
import { EPOCH } from './file-time.ts'
import type { FileTime, Inode, LayerEntry } from './types.ts'

/** Seconds and nanoseconds of the last moment that Go's clock of nanoseconds in 64 bits can tell: in the year 2262. */
const LAST: FileTime = { seconds: 9_223_372_036, nanoseconds: 854_775_807 }

/** containerd writes every time outside of 1970…2262 as 1970. */
export function isShownTime({ seconds, nanoseconds }: FileTime): boolean {
  if (seconds < 0 || seconds > LAST.seconds) return false
  return seconds < LAST.seconds || nanoseconds <= LAST.nanoseconds
}

export function shownTime(time: FileTime): FileTime {
  return isShownTime(time) ? time : EPOCH
}

/** Linux has twelve bits for the one number and twenty for the other; nodes cut off the rest. */
export function shownDevice(device: LayerEntry['device']): LayerEntry['device'] {
  return device && { major: device.major % 2 ** 12, minor: device.minor % 2 ** 20 }
}

type Attributes = Pick<LayerEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>

/** Whether a hard link's entry leaves the file as it is: a node gives the file the attributes of the link's entry. */
export function hasSameAttributes(link: Attributes, target: Attributes & Pick<LayerEntry, 'type'>): boolean {
  if (target.type === 'directory') return false
  return changedAttributes(link, target).length === 0
}

/** What differs, in words. */
export function changedAttributes(a: Attributes, b: Attributes): readonly string[] {
  const changed: string[] = []
  if (a.mode !== b.mode) changed.push('mode')
  if (a.uid !== b.uid || a.gid !== b.gid) changed.push('owner')
  if (a.mtime.seconds !== b.mtime.seconds || a.mtime.nanoseconds !== b.mtime.nanoseconds) changed.push('time')
  if (!hasSameXattrs(a.xattrs, b.xattrs)) changed.push('extended attributes')
  return changed
}

function hasSameXattrs(a: Attributes['xattrs'], b: Attributes['xattrs']): boolean {
  if (a === b) return true
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true)
}

/** Whether two inodes have one content: the same bytes of one layer, or other bytes that are known to be equal. */
export function hasSameContent(a: Inode, b: Inode): boolean {
  const [one, other] = [a.content, b.content]
  if (one === other) return true
  if (one === undefined || other === undefined || one.size !== other.size) return false
  if (one.digest !== undefined) return one.digest === other.digest
  return one.bytes !== undefined && other.bytes !== undefined && one.bytes.equals(other.bytes)
}
