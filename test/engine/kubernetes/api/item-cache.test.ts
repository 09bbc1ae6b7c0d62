import { describe, expect, test } from 'vitest'
import { ItemCache } from '../../../../src/engine/kubernetes/api/item-cache.ts'
import { compareVersions, newer } from '../../../../src/engine/kubernetes/api/resource-version.ts'
import type { InformerItem } from '../../../../src/engine/kubernetes/api/types.ts'

function item(key: string, uid: string, version: number | string): InformerItem {
  return { key, uid, resourceVersion: String(version) }
}

function opened() {
  const told: string[] = []
  const cache = new ItemCache<InformerItem>(({ kind, item: { key, uid, resourceVersion }, previous }) =>
    told.push(
      `${kind} ${key} ${uid}@${resourceVersion}${previous === undefined ? '' : ` was ${previous.resourceVersion}`}`,
    ),
  )
  return { cache, told }
}

type Cache = ItemCache<InformerItem>

describe('the cache', () => {
  test.each<readonly [string, (cache: Cache) => void, readonly string[]]>([
    ['tells an object once', (c) => [9, 9].forEach((v) => c.put(item('k', 'u', v), false)), ['added k u@9']],
    [
      'tells a newer state, and no older one',
      (c) => [9, 10, 8, 9].forEach((v) => c.put(item('k', 'u', v), false)),
      ['added k u@9', 'updated k u@10 was 9'],
    ],
    [
      'tells another object under the same name as deleted and added',
      (c) => {
        c.put(item('k', 'u', 9), false)
        c.put(item('k', 'w', 12), false)
        c.put(item('k', 'u', 10), false)
      },
      ['added k u@9', 'deleted k u@9 was 9', 'added k w@12'],
    ],
    [
      'never brings back what was seen deleted',
      (c) => {
        c.put(item('k', 'u', 9), false)
        c.remove(item('k', 'u', 11))
        c.put(item('k', 'u', 10), false)
        c.put(item('k', 'u', 10), true)
      },
      ['added k u@9', 'deleted k u@11 was 9'],
    ],
    [
      'takes back an object that left a selector',
      (c) => {
        c.put(item('k', 'u', 9), false)
        c.remove(item('k', 'u', 11))
        c.put(item('k', 'u', 12), false)
      },
      ['added k u@9', 'deleted k u@11 was 9', 'added k u@12'],
    ],
    [
      'remembers deletions of what it never had',
      (c) => {
        c.remove(item('k', 'u', 11))
        c.put(item('k', 'u', 9), false)
      },
      [],
    ],
    [
      'keeps a new object when the end of the old one comes late',
      (c) => {
        c.put(item('k', 'w', 12), false)
        c.remove(item('k', 'u', 11))
      },
      ['added k w@12'],
    ],
    [
      'drops what an accepted deletion was about, until it shows up terminating',
      (c) => {
        c.put(item('k', 'u', 9), false)
        c.forget('k', 'u')
        c.put(item('k', 'u', 10), false)
        c.put(item('k', 'u', 11), true)
        c.remove(item('k', 'u', 12))
      },
      ['added k u@9', 'deleted k u@9 was 9', 'added k u@11', 'deleted k u@12 was 11'],
    ],
    [
      'keeps what is terminating until its end',
      (c) => {
        c.put(item('k', 'u', 9), true)
        c.forget('k', 'u')
      },
      ['added k u@9'],
    ],
    [
      'forgets by uid only',
      (c) => {
        c.put(item('k', 'u', 9), false)
        c.forget('k', 'other')
      },
      ['added k u@9'],
    ],
    [
      'takes what a list lacks for gone, but not what is newer than the list',
      (c) => {
        c.put(item('old', 'u', 9), false)
        c.put(item('new', 'w', 21), false)
        c.retain(new Set(), '20')
        c.put(item('old', 'u', 10), false)
      },
      ['added old u@9', 'added new w@21', 'deleted old u@9 was 9'],
    ],
    [
      'believes a restored server that is behind, for one list',
      (c) => {
        c.put(item('a', 'u', 90), false)
        c.put(item('b', 'v', 91), false)
        c.trustNextList()
        c.put(item('a', 'u', 50), false)
        c.retain(new Set(['a']), '60')
        c.put(item('a', 'u', 40), false)
      },
      ['added a u@90', 'added b v@91', 'updated a u@50 was 90', 'deleted b v@91 was 91'],
    ],
  ])('%s', (_rule, play, expected) => {
    const { cache, told } = opened()
    play(cache)
    expect(told).toEqual(expected)
  })

  test('bounds what it remembers of the dead', () => {
    const { cache, told } = opened()
    for (let n = 0; n < 5000; n += 1) cache.remove(item(`k${n}`, `u${n}`, 10))
    cache.put(item('k0', 'u0', 9), false)
    cache.put(item('k4999', 'u4999', 9), false)
    expect(told).toEqual(['added k0 u0@9'])
  })
})

describe('resource versions', () => {
  test.each([
    ['9', '10', -1],
    ['10', '9', 1],
    ['18446744073709551615', '18446744073709551614', 1],
    ['7', '7', 0],
    ['x', '7', undefined],
    ['07', '7', undefined],
    ['', '7', undefined],
  ])('%s against %s', (a, b, sign) => {
    const compared = compareVersions(a, b)
    expect(compared === undefined ? undefined : Math.sign(compared)).toBe(sign)
  })

  test('the newer of two', () => {
    expect([newer(undefined, '3'), newer('10', '9'), newer('9', '10'), newer('x', 'y')]).toEqual([
      '3',
      '10',
      '10',
      'y',
    ])
  })
})
