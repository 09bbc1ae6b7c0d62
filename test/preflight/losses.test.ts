/** What GNU cp says is told apart: failures, and what only root could keep. */
import { describe, expect, test } from 'vitest'
import { copyError, lossNote, noLosses, readCopyLine, type CopyLog } from '../../src/preflight/losses.ts'

function logOf(lines: readonly string[], lenient: boolean): CopyLog {
  const log: CopyLog = { losses: noLosses(), failure: undefined, full: false, excused: 0 }
  for (const line of lines) readCopyLine(log, line, lenient)
  return log
}

const CAPABILITY =
  "/fairlead/bin/cp: setting attribute 'security.capability' for 'x': Operation not permitted"
const NO_XATTRS = "cp: setting attribute 'user.note' for 'x': Operation not supported"
const LABEL = "cp: setting attribute 'security.selinux' for 'x': Operation not permitted"
const ALL = "cp: setting attributes for 'x': Operation not supported"
const DEVICE = "cp: cannot create special file 'x': Operation not permitted"
const FULL = "cp: error writing 'x': No space left on device"

describe('a line', () => {
  test.each([
    ['a capability, under restricted', CAPABILITY, true, { xattrs: 1 }, undefined],
    ['a capability, as root', CAPABILITY, false, { xattrs: 0 }, CAPABILITY],
    ['xattrs that the file system does not have', NO_XATTRS, false, { xattrs: 1 }, undefined],
    ['xattrs that it does not have, unnamed', ALL, false, { xattrs: 1 }, undefined],
    ['a label of the node', LABEL, false, { xattrs: 0 }, undefined],
    ['a device, under restricted', DEVICE, true, { specialFiles: 1 }, undefined],
    ['a device, as root', DEVICE, false, { specialFiles: 0 }, DEVICE],
    ['a full disk, under restricted', FULL, true, {}, FULL],
    ['anything else', 'cp: cannot open x', true, {}, 'cp: cannot open x'],
  ])('about %s', (_title, line, lenient, losses, failure) => {
    const log = logOf([line], lenient)
    expect(log.losses).toMatchObject(losses)
    expect([log.failure, log.excused]).toEqual([failure, failure === undefined ? 1 : 0])
  })
})

describe('a failure', () => {
  test.each([
    ['a full disk', [FULL], 'DiskFull'],
    ['a quota', ["cp: cannot create directory 'x': Disk quota exceeded"], 'DiskFull'],
    ['a full disk that is said late', ['cp: odd', FULL], 'DiskFull'],
    ['an unreadable file', ["cp: cannot open 'x' for reading: Permission denied"], 'PermissionDenied'],
    ['a read-only disk', ["cp: cannot create directory 'x': Read-only file system"], 'PermissionDenied'],
    ['a broken disk', ["cp: error reading 'x': Input/output error"], 'SeedFailed'],
    ['a kill', [], 'SeedFailed'],
  ])('of %s', (_title, lines, reason) => {
    expect(copyError(logOf(lines, false), 'seeding', new Map())).toMatchObject({ reason, retry: 'backoff' })
  })

  test('names the files as people know them, and no control characters', () => {
    const log = logOf(
      ["/fairlead/bin/cp: cannot open '/proc/self/fd/3/./a\u001b[2J' for reading: Permission denied"],
      false,
    )
    const { message } = copyError(log, 'seeding', new Map([['/proc/self/fd/3/.', '/data']]))
    expect(message).toBe("seeding: cannot open '/data/a\\u001b[2J' for reading: Permission denied")
  })
})

describe('a note', () => {
  test.each([
    [{}, undefined],
    [{ owners: 1 }, 'not kept on /data: 1 owner'],
    [
      { owners: 2, setIds: 2, xattrs: 2, specialFiles: 2 },
      'not kept on /data: 2 owners, 2 setuid or setgid bits, 2 extended attributes or file capabilities, 2 special files',
    ],
  ])('about %o', (losses, note) => {
    expect(lossNote('/data', { ...noLosses(), ...losses })).toBe(note)
  })
})
