import { expect, test } from 'vitest'
import { compact } from '../../../src/reconcile/kubernetes/compact.ts'

test.each<[unknown, unknown]>([
  [{ a: null, b: undefined, c: {}, d: [], e: { f: { g: null } } }, undefined],
  [
    { a: '', b: 0, c: false },
    { a: '', b: 0, c: false },
  ],
  [{ a: [{}, { b: 1 }, ''] }, { a: [{ b: 1 }, ''] }],
  [null, undefined],
])('%j becomes %j', (value, left) => {
  expect(compact(value)).toEqual(left)
})
