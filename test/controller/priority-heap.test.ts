import { array, assert, constantFrom, integer, nat, option, property, tuple, uniqueArray } from 'fast-check'
import { expect, test } from 'vitest'
import { PriorityHeap } from '../../src/controller/priority-heap.ts'

/** A key and its rank; without a rank it is taken out. */
const operations = array(tuple(integer({ min: 0, max: 15 }).map(String), option(nat({ max: 99 }))), {
  minLength: 20,
  maxLength: 80,
})

function drained(heap: PriorityHeap): readonly number[] {
  const ranks: number[] = []
  for (let first = heap.first(); first !== undefined; first = heap.first()) {
    ranks.push(first.rank)
    heap.delete(first.key)
  }
  return ranks
}

test('holds what a plain map holds, and gives it back in order', () => {
  assert(
    property(operations, (steps) => {
      const heap = new PriorityHeap()
      const model = new Map<string, number>()
      for (const [key, rank] of steps) {
        for (const one of [heap, model]) {
          if (rank === null) one.delete(key)
          else one.set(key, rank)
        }
        expect([heap.size, heap.has(key), heap.rankOf(key)]).toEqual([
          model.size,
          model.has(key),
          model.get(key),
        ])
      }
      expect(drained(heap)).toEqual([...model.values()].toSorted((a, b) => a - b))
    }),
    { numRuns: 2000 },
  )
})

test('says whether there was something to take out', () => {
  const heap = new PriorityHeap()
  heap.set('a', 1)
  expect([heap.delete('a'), heap.delete('a'), heap.delete('b')]).toEqual([true, false, false])
})

test('many keys come back in order', () => {
  assert(
    property(uniqueArray(nat(), { maxLength: 300 }), constantFrom(1, -1), (ranks, sign) => {
      const heap = new PriorityHeap()
      for (const rank of ranks) heap.set(String(rank), rank * sign)
      expect(drained(heap)).toEqual(ranks.map((rank) => rank * sign).toSorted((a, b) => a - b))
    }),
  )
})
