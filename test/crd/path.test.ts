import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { normalizePath, volumePathProblem } from '../../src/crd/path.ts'

test.each([
  ['/data', '/data'],
  ['/data/', '/data'],
  ['//data//x/.', '/data/x'],
  ['/a/../b', '/b'],
  ['/../../a', '/a'],
  ['/', '/'],
  ['/a/..', '/'],
  ['/...', '/...'],
  ['/ ', '/ '],
])('writes %s as %s', (path, normal) => {
  expect(normalizePath(path)).toBe(normal)
})

test('writes a normal path as itself', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const normal = normalizePath(text)
      expect(normalizePath(normal)).toBe(normal)
      expect(normal).toMatch(/^\//)
    }),
  )
})

test.each(['/data', '/process', '/device/x'])('finds nothing wrong with a volume at %j', (path) => {
  expect(volumePathProblem(path)).toBeUndefined()
})

test.each([
  ['data', 'absolute'],
  ['', 'absolute'],
  ['/', 'root'],
  ['/a/..', 'root'],
  ['/proc', '/proc'],
  ['/proc/', '/proc'],
  ['/x/../proc/self', '/proc'],
  ['/sys/fs', '/sys'],
  ['/dev/shm', '/dev'],
  ['/a\0b', 'NUL'],
  ['/a\u001b[2Jb', 'control characters'],
])('refuses a volume at %j: %s', (path, problem) => {
  expect(volumePathProblem(path)).toContain(problem)
})
