/** Input is asked for before it is needed, once, and never twice ahead; errors come where they would have come. */
import { expect, test } from 'vitest'
import { ByteInput } from '../../src/rootfs/byte-input.ts'
import { inChunks } from './flattened.ts'

/** How many chunks were asked for. */
class Source {
  asked = 0

  async *chunks(texts: readonly string[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) {
      this.asked += 1
      await Promise.resolve()
      if (text === 'cut') throw new Error('cut off')
      yield Buffer.from(text)
    }
    this.asked += 1
  }
}

test('one chunk is asked for while the one before is used', async () => {
  const source = new Source()
  const input = new ByteInput(source.chunks(['a', 'b', 'c']))
  expect(source.asked).toBe(0)
  const seen: string[] = []
  for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next())
    seen.push(`${String(chunk)} of ${source.asked}`)
  expect(seen).toEqual(['a of 2', 'b of 3', 'c of 4'])
  expect(await input.next()).toBeUndefined()
  expect(source.asked).toBe(4)
})

test('no more is asked for by what is given back', async () => {
  const source = new Source()
  const input = new ByteInput(source.chunks(['ab', 'c', 'd']))
  expect(String(await input.peek(1))).toBe('a')
  expect(source.asked).toBe(2)
  const whole = await input.next()
  input.unread(whole?.subarray(1) ?? Buffer.alloc(0))
  expect(String(await input.next())).toBe('b')
  expect(source.asked).toBe(2)
})

test('an error is told after all that came before it', async () => {
  const input = new ByteInput(new Source().chunks(['a', 'cut']))
  expect(String(await input.next())).toBe('a')
  // Whoever stops here never hears of it, and nor does the process.
  await new Promise((resolve) => setImmediate(resolve))
  await expect(input.next()).rejects.toThrow('cut off')
})

test.each([1, 2, 3, 7])('%i bytes at a time are valid until more is asked for', async (size) => {
  const bytes = Buffer.from('all of the bytes')
  const input = new ByteInput(inChunks(bytes, size))
  let all = String(await input.peek(4)).slice(0, 0)
  for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next()) all += String(chunk)
  expect(all).toBe(String(bytes))
})
