import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { digestOf, Hasher, isDigest, parseDigest, verifyBytes } from '../../src/image/digest.ts'
import { failureOf } from '../support/expected-error.ts'

const EMPTY = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

describe('digests', () => {
  test.each([
    [EMPTY, true],
    [`sha512:${'0'.repeat(128)}`, true],
    [`sha256:${'0'.repeat(63)}`, false],
    [`sha256:${'0'.repeat(65)}`, false],
    [`sha512:${'0'.repeat(64)}`, false],
    [`sha256:${'A'.repeat(64)}`, false],
    [`${EMPTY}\n`, false],
    [` ${EMPTY}`, false],
    ['sha256:../../../../etc/passwd', false],
    ['', false],
  ])('%j is a digest: %s', (text, expected) => {
    expect(isDigest(text)).toBe(expected)
  })

  test.each([
    ['', 'must be sha256:'],
    ['sha256', 'must be sha256:'],
    ['sha1:00', 'algorithm sha1 is not supported'],
    ['__proto__:00', 'algorithm __proto__ is not supported'],
    ['sha256:00', 'sha256 has 64 hexadecimal digits, found 2'],
    [`sha256:${'A'.repeat(64)}`, 'must be lower case'],
    [`sha256:${'.'.repeat(64)}`, 'not hexadecimal'],
  ])('%j is refused: %s', async (text, problem) => {
    const failure = await failureOf(() => parseDigest(text))
    expect(failure).toContain('InvalidReference: ')
    expect(failure).toContain(problem)
  })

  test('hashes bytes with either algorithm', () => {
    expect(digestOf(Buffer.alloc(0))).toBe(EMPTY)
    expect(digestOf('abc', 'sha512')).toBe(`sha512:${createHash('sha512').update('abc').digest('hex')}`)
  })
})

describe('the streaming verifier', () => {
  const bytes = Buffer.from('hello world')
  const digest = digestOf(bytes)

  test.each(['sha256', 'sha512'] as const)('accepts the right bytes in pieces (%s)', (algorithm) => {
    const hasher = new Hasher(digestOf(bytes, algorithm), bytes.length)
    hasher.update(bytes.subarray(0, 4))
    hasher.update(bytes.subarray(4))
    expect(hasher.seen).toBe(bytes.length)
    expect(() => hasher.verify()).not.toThrow()
  })

  test('stops at the first byte too many, before the end', async () => {
    const hasher = new Hasher(digest, 4, 'blob x')
    hasher.update(bytes.subarray(0, 4))
    expect(await failureOf(() => hasher.update(bytes.subarray(4, 5)))).toBe(
      'DigestMismatch: blob x has more than the 4 bytes that its descriptor says',
    )
  })

  test.each([
    ['missing bytes', bytes.subarray(0, 10), 'ended after 10 bytes'],
    ['other bytes of the same size', Buffer.from('hello worle'), 'expected sha256:'],
  ])('refuses %s', async (_name, given, problem) => {
    expect(await failureOf(() => verifyBytes(given, digest, bytes.length))).toContain(problem)
  })
})
