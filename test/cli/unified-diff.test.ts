import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { unifiedDiff } from '../../src/cli/unified-diff.ts'

const text = (lines: string) => Array.from(lines, (line) => `${line}\n`).join('')

test.each([
  ['abc', 'abc', ''],
  ['', '', ''],
  ['', 'ab', '@@ -0,0 +1,2 @@\n+a\n+b\n'],
  ['ab', '', '@@ -1,2 +0,0 @@\n-a\n-b\n'],
  ['abc', 'axc', '@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n'],
  ['123456789', '12345678x', '@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+x\n'],
])('%j to %j', (before, after, diff) => {
  expect(unifiedDiff(text(before), text(after))).toBe(diff)
})

test('changes far apart are hunks of their own', () => {
  const before = text('0123456789abcdef')
  const hunks = unifiedDiff(before, before.replace('0\n', 'x\n').replace('f\n', 'y\n')).match(/^@@.*@@$/gm)
  expect(hunks).toEqual(['@@ -1,4 +1,4 @@', '@@ -13,4 +13,4 @@'])
})

/** As patch(1) does it, without a guess: what a hunk says of the old text must be so. */
function patched(before: string, diff: string): string {
  const old = before === '' ? [] : before.slice(0, -1).split('\n')
  const result: string[] = []
  let at = 0
  for (const line of diff.split('\n').slice(0, -1)) {
    const head = /^@@ -(\d+),(\d+) \+/.exec(line)
    if (head !== null) {
      const start = Number(head[1]) - (head[2] === '0' ? 0 : 1)
      result.push(...old.slice(at, start))
      at = start
    } else if (line.startsWith('+')) result.push(line.slice(1))
    else {
      if (old[at] !== line.slice(1)) throw new Error(`${line} is not in the text at ${at}`)
      if (line.startsWith(' ')) result.push(line.slice(1))
      at += 1
    }
  }
  return [...result, ...old.slice(at)].map((line) => `${line}\n`).join('')
}

test('makes the one text from the other', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 30 }).map((all) => all.join(''))
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const diff = unifiedDiff(text(before), text(after))
      expect(diff === '').toBe(before === after)
      expect(patched(text(before), diff)).toBe(text(after))
    }),
  )
})

test('texts too large to compare line by line are shown as replaced', () => {
  const large = (mark: string) => Array.from({ length: 2100 }, (_, index) => `${mark}${index}\n`).join('')
  const diff = unifiedDiff(`same\n${large('a')}`, `same\n${large('b')}`)
  expect(diff.split('\n').filter((line) => line.startsWith('-a')).length).toBe(2100)
})
