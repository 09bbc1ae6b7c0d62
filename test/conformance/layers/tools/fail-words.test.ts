import { describe, expect, test } from 'vitest'
import { failureClass, failureOf } from './fail-words.ts'

test.each([
  ['ctr: link /a /b: no such file or directory', 'ENOENT'],
  ['failed to convert whiteout file ".wh.a": file exists', 'EEXIST'],
  ['processing tar file(duplicates of file paths not supported', 'duplicate'],
  ['open /etc/shadow: read-only file system', 'it writes outside of its folder'],
  ['unhandled tar header type 83', 'tar'],
  ['create gzip reader: gzip: invalid header', 'compression'],
  ['Source image rejected: digest mismatch', 'digest'],
  ['something else', 'other'],
])('%s is %s', (failure, name) => {
  expect(failureClass(failure)).toBe(name)
})

describe('of what a tool printed', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'warnings and steps are no errors',
      'time="…" level=warning msg="old"\nError: bad tar\ntime="…" level=info msg="bye"\n',
      'Error: bad tar',
    ],
    [
      'nothing of this machine or this run is left',
      `open /proc/77/root/mnt/x/storage123456789/snapshots/42/fs sha256:${'a'.repeat(64)}`,
      'open /mnt/x/*/snapshots/*/fs sha256:*',
    ],
    ['control characters are told, colours are not', '\u001b[31mError\u001b[0m: a\tb', 'Error: a\\u0009b'],
    ['no words at all', '', 'umoci: exit code 3'],
  ]
  test.each(cases)('%s', (_title, stderr, words) => {
    expect(failureOf({ code: 3, stdout: '', stderr }, 'umoci')).toBe(words)
  })

  test('a tool that had to be killed', () => {
    expect(failureOf({ code: null, stdout: '', stderr: 'Error: x' }, 'umoci')).toBe(
      'umoci: killed, it took too long',
    )
  })
})
