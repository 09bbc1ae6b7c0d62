import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { expandReferences } from '../../src/reconcile/expand.ts'

const VALUES = new Map([
  ['A', 'alpha'],
  ['B', '$(A)'],
  ['E', ''],
  ['with.dot-and_dash', 'x'],
])

// The cases of Kubernetes' own expansion, in k8s.io/kubernetes/third_party/forked/golang/expansion.
test.each([
  ['', ''],
  ['plain', 'plain'],
  ['$(A)', 'alpha'],
  ['pre$(A)post', 'prealphapost'],
  ['$(A)$(A)', 'alphaalpha'],
  ['$(E)', ''],
  ['$(B)', '$(A)'],
  ['$(with.dot-and_dash)', 'x'],
  ['$(UNKNOWN)', '$(UNKNOWN)'],
  ['$()', '$()'],
  ['$( A )', '$( A )'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$alpha'],
  ['$$$$(A)', '$$(A)'],
  ['$$', '$'],
  ['$', '$'],
  ['a$', 'a$'],
  ['$A', '$A'],
  ['${A}', '${A}'],
  ['$(A', '$(A'],
  ['$$(A', '$(A'],
  ['$($(A)', '$($(A)'],
  ['$($(A))', '$($(A))'],
  ['($(A))', '(alpha)'],
  ['$(A)$', 'alpha$'],
  ['über $(A) Straße', 'über alpha Straße'],
  ['$é$(A)', '$éalpha'],
])('%j becomes %j', (text, expected) => {
  expect(expandReferences(text, VALUES)).toBe(expected)
})

test('text without a dollar stays as it is', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const plain = text.replaceAll('$', '')
      expect(expandReferences(plain, VALUES)).toBe(plain)
    }),
  )
})

test('text with every dollar doubled comes out as it was written', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(expandReferences(text.replaceAll('$', '$$$$'), VALUES)).toBe(text)
    }),
  )
})
