import { expect, test } from 'vitest'
import { toolFailure } from '../../../../src/engine/local/unpack/tools.ts'

const FULL = 'No space left on device'
const SETFATTR =
  "no space left for the image's tree, or a file has more or larger extended attributes than the file system takes: ext4 has one block, usually 4 KiB, for all of a file's"

test.each([
  ['setfattr', `app: ${FULL}`, 'DiskFull', 'backoff', `${SETFATTR} (setfattr: app: ${FULL})`],
  [
    'cp',
    `cp: ${FULL}`,
    'DiskFull',
    'backoff',
    `no space left for the image's tree (cp: cp: ${FULL}); free some and try again`,
  ],
  [
    'setfattr',
    'app: Operation not supported',
    'RuntimeFailed',
    'terminal',
    "setfattr could not finish the image's tree: app: Operation not supported",
  ],
])('%s that says "%s" is told as %s', (program, stderr, reason, retry, message) => {
  const error = toolFailure(program, `first line\n${stderr}\n`)
  expect({ reason: error.reason, retry: error.retry, message: error.message }).toEqual({
    reason,
    retry,
    message,
  })
})
