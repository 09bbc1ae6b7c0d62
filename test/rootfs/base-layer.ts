/** The layer that many tests of merging lay others over, and its tree as lines. */
import { dir, file, symlink } from '../support/layer.ts'

export const BASE = [
  dir('d'),
  file('d/old', 'old'),
  file('f', 'base'),
  dir('usr'),
  dir('usr/lib'),
  file('usr/lib/x', 'x'),
  symlink('lib', 'usr/lib'),
]
export const BASE_LINES = ['d/', 'd/old=old', 'f=base', 'lib -> usr/lib', 'usr/', 'usr/lib/', 'usr/lib/x=x']

/** The lines of BASE without some, with others. */
export function based(minus: readonly string[], plus: readonly string[]): string[] {
  return [...BASE_LINES.filter((line) => !minus.includes(line)), ...plus].sort()
}
