/**
 * Container paths as keys. `/data`, `/data/` and `//data/./` name one place and must be one volume.
 */

import { printable } from '../errors.ts'

/** Kernel file systems: a volume over or below them breaks the container or escapes it. */
const RESERVED = ['/proc', '/sys', '/dev']

/** A path in its one spelling: `.` and `..` resolved by text, no empty parts, no slash at the end. `/` stays `/`. */
export function normalizePath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** Why no volume can be mounted at this (not yet normalised) path; undefined when one can. */
export function volumePathProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must be absolute: start it with "/"'
  if (path.includes('\0')) return 'must not contain a NUL character'
  if (printable(path, path.length) !== path) return 'must not contain control characters'
  const normal = normalizePath(path)
  if (normal === '/') return 'must not be the root of the file system: name a folder below it'
  const reserved = RESERVED.find((root) => normal === root || normal.startsWith(`${root}/`))
  return reserved === undefined
    ? undefined
    : `must not be ${reserved} or below it: the kernel's own file system is mounted there`
}
