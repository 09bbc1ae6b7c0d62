import { isNamed } from './case.ts'
import { expect, test } from 'vitest'
import type { Comparison, Verdict } from './compare.ts'
import { report, scoreOf } from './score.ts'
import { toolNamed } from './tools/all.ts'

function comparison(verdict: Verdict, differences: readonly string[] = []): Comparison {
  return { verdict, differences, everywhere: [] }
}

const comparisons = new Map([
  ['1', comparison('equal')],
  ['2', comparison('equal')],
  ['3', comparison('refused', ['bad header'])],
  ['4', comparison('different', ['- a ""', '+ b ""'])],
  ['5', comparison('failed', ['file exists'])],
  ['6', comparison('accepted', ['+ x ""'])],
])

test('a score counts every case once', () => {
  expect(scoreOf(comparisons.values())).toEqual({
    cases: 6,
    equal: 2,
    refused: 1,
    different: 1,
    failed: 1,
    accepted: 1,
  })
})

test('a report tells what is not right, then the score', () => {
  const text = report({ tool: 'umoci', version: '0.4.7', comparisons })
  expect(text.split('\n')).toEqual([
    '4: different',
    '    - a ""',
    '    + b ""',
    '5: failed',
    '    file exists',
    '6: accepted',
    '    + x ""',
    'umoci 0.4.7: 3 of 6 cases are right',
    '    2  equal to the tree that the image spec means',
    '    1  refused, as they should be',
    '    1  another tree',
    '    1  failed, though the image is right',
    '    1  unpacked, though the image is wrong',
    '',
  ])
})

test.each([
  ['umoci', 'umoci'],
  ['buildah-overlay', 'buildah-overlay'],
  ['my-unpack --from {layout}:{tag} {out}', 'my-unpack'],
])('%s is a tool', (name, expected) => {
  expect(toolNamed(name).name).toBe(expected)
})

test.each([
  ['podman', 'no tool is called podman'],
  ['unpack {layout} {tag}', 'the command lacks {out}'],
])('%s is none', (name, words) => {
  expect(() => toolNamed(name)).toThrow(words)
})

test.each([
  ['55', true],
  ['55a', true],
  ['5', false],
  ['55a2', false],
])('%s names the case 55a: %s', (word, named) => {
  expect(isNamed('55a', word)).toBe(named)
})
