import { describe, expect, test } from 'vitest'
import { TextPacker } from '../../../src/engine/kubernetes/packed-text.ts'
import { Recent } from '../../../src/engine/kubernetes/recent.ts'

function document(name: string): string {
  const env = Array.from({ length: 30 }, (_one, n) => ({
    name: `SETTING_${n}`,
    value: `a value ${n * 7919}`,
  }))
  return JSON.stringify({ metadata: { name, uid: `1eebd32b-cb61-40be-acb5-${name}` }, spec: { env } })
}

describe('packed texts', () => {
  test.each([
    ['nothing', ''],
    ['one that is like the first', document('app-00002')],
    ['one that is not', 'x'],
    ['one in another script', '字'.repeat(5000)],
    ['one longer than what is compared', document('a').repeat(200)],
  ])('come back whole: %s', (_what, text) => {
    const packer = new TextPacker()
    const first = document('app-00001')
    const packed = [first, text].map((each) => packer.pack(each))
    expect(packed.map((each) => packer.unpack(each))).toEqual([first, text])
  })

  test('come back from a packer whose first text was empty or long', () => {
    for (const first of ['', '字'.repeat(100_000)]) {
      const packer = new TextPacker()
      expect(packer.unpack(packer.pack(first))).toBe(first)
      expect(packer.unpack(packer.pack('second'))).toBe('second')
    }
  })

  test('take what differs from the first, one byte a character', () => {
    const packer = new TextPacker()
    packer.pack(document('app-00001'))
    const packed = packer.pack(document('app-00002'))
    expect(packed.length).toBeLessThan(document('app-00002').length / 20)
    expect(packed).toMatch(/^[\0-ÿ]*$/)
  })
})

describe('what was made lately', () => {
  test('is made once, and again after many others', () => {
    const recent = new Recent<number, { readonly key: number }>()
    const made: number[] = []
    const get = (key: number) => recent.get(key, () => ({ key: made.push(key) }))
    expect(get(1)).toBe(get(1))
    expect(made).toEqual([1])
    for (let key = 2; key < 100; key += 1) get(key)
    get(99)
    get(1)
    expect(made).toEqual([...Array.from({ length: 99 }, (_one, n) => n + 1), 1])
  })
})
