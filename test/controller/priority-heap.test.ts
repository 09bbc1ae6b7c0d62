import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PriorityHeap } from '../../src/controller/priority-heap.ts'

const key = fc.constantFrom(...'abcdefghijklmnop')
const operation = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key, rank: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ kind: fc.constant('delete' as const), key }),
)

test('holds what a plain map holds, and knows the lowest of it', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const heap = new PriorityHeap()
      const model = new Map<string, number>()
      for (const one of operations) {
        if (one.kind === 'set') {
          heap.set(one.key, one.rank)
          model.set(one.key, one.rank)
        } else expect(heap.delete(one.key)).toBe(model.delete(one.key))
        const lowest = model.size === 0 ? undefined : Math.min(...model.values())
        expect([heap.size, heap.first()?.rank]).toEqual([model.size, lowest])
        for (const name of 'abcdefghijklmnop') expect(heap.rankOf(name)).toBe(model.get(name))
      }
    }),
  )
})

test('gives everything back in order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(), { maxLength: 200 }), (ranks) => {
      const heap = new PriorityHeap()
      for (const rank of ranks) heap.set(String(rank), rank)
      const taken: number[] = []
      for (let first = heap.first(); first !== undefined; first = heap.first()) {
        taken.push(first.rank)
        heap.delete(first.key)
      }
      expect(taken).toEqual(ranks.toSorted((a, b) => a - b))
    }),
  )
})
