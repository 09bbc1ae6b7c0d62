/** A task that is not exactly ours is refused, and the sentence says what is wrong. */
import { describe, expect, test } from 'vitest'
import { parseTask } from '../../src/preflight/task.ts'
import { aPreflightVolume, aTask } from '../support/claims.ts'

const TASK = aTask('/source', [
  aPreflightVolume('/claims/0', '/data', { nested: ['/data/plugins'], subPath: 'a/b' }),
  aPreflightVolume('/claims/1', '/logs', { action: 'Check', exec: 'Any', inImage: false }),
])
const VOLUME = TASK.volumes[0]

test('what was written is read', () => {
  expect(parseTask(JSON.stringify(TASK))).toEqual(TASK)
  const { sourceRoot: _mount, ...beside } = TASK
  expect(parseTask(JSON.stringify(beside))).toEqual(beside)
})

describe('what is refused', () => {
  test.each([
    ['nothing', undefined, 'FAIRLEAD_PREFLIGHT is not set'],
    ['no JSON', '{', 'the task is not JSON'],
    ['a list', '[]', 'the task is []'],
    ['null', 'null', 'the task is null'],
  ])('%s', (_title, text, message) => {
    expect(() => parseTask(text)).toThrow(message)
  })

  test.each([
    ['another version', { version: 2 }, 'version 2; this program knows version 1'],
    ['a field of another version', { owner: 1 }, 'a field "owner" that is not known'],
    ['volumes as an object', { volumes: {} }, 'volumes is {}'],
    ['a relative source', { sourceRoot: 'source' }, 'sourceRoot is "source"'],
    ['restricted as text', { restricted: 'false' }, 'restricted is "false"'],
  ])('a task with %s', (_title, extra, message) => {
    expect(() => parseTask(JSON.stringify({ ...TASK, ...extra }))).toThrow(message)
  })

  test.each([
    ['a path that leads out', { destination: '/data/../etc' }, 'destination is "/data/../etc"'],
    ['a path that is not clean', { destination: '/data/' }, 'destination is "/data/"'],
    ['a mount that leads out', { mount: '/claims/..' }, 'mount is "/claims/.."'],
    ['a folder that leads out', { subPath: '../other' }, 'subPath is "../other"'],
    ['an absolute folder', { subPath: '/other' }, 'subPath is "/other"'],
    ['a NUL', { subPath: 'a\0b' }, 'must be text'],
    ['another action', { action: 'Move' }, 'one of Copy, Own, Check'],
    ['another wish', { exec: 'Maybe' }, 'one of Required, Any, Forbidden'],
    ['a uid that means "leave it"', { uid: 0xffff_ffff }, 'uid is 4294967295'],
    ['a negative gid', { gid: -1 }, 'gid is -1'],
    ['a uid with a fraction', { uid: 1.5 }, 'uid is 1.5'],
    ['a nested volume elsewhere', { nested: ['/database'] }, 'it must be below "/data"'],
    ['a nested volume that leads out', { nested: ['/data/../etc'] }, 'nested is "/data/../etc"'],
    ['nested as text', { nested: '/data/x' }, 'it must be a list'],
    ['a missing field', { inImage: undefined }, 'inImage is missing'],
    ['a stranger’s field', { mode: 1 }, 'volumes[0] has a field "mode"'],
  ])('a volume with %s', (_title, extra, message) => {
    expect(() => parseTask(JSON.stringify({ ...TASK, volumes: [{ ...VOLUME, ...extra }] }))).toThrow(message)
  })
})
