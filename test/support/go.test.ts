/** Which Go is new enough to build the test cluster. */
import { expect, test } from 'vitest'
import { goTool, isNewEnough } from '../../scripts/lib/go.ts'

test.each([
  ['go1.26.6 linux/amd64', true],
  ['go1.26.10 linux/amd64', true],
  ['go1.27 linux/arm64', true],
  ['go2.0.0 linux/amd64', true],
  ['go1.26.5 linux/amd64', false],
  ['go1.26 linux/amd64', false],
  ['go1.27rc1 linux/amd64', true],
  ['go1.26rc1 linux/amd64', false],
  ['go1.19.8 linux/amd64', false],
  ['go1.9.7 linux/amd64', false],
  ['devel go1.28-abc linux/amd64', false],
])('%s: %s', (version, expected) => {
  expect(isNewEnough(version)).toBe(expected)
})

test('says what to install where there is none', async () => {
  await expect(goTool(['/nonexistent/go'])).rejects.toThrow('install the Debian package golang-go')
})
