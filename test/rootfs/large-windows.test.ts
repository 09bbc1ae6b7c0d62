/** What a zstd frame asks for is read right, and of an image's layers one at a time gets much of it. */
import { constants, zstdCompressSync, createZstdCompress } from 'node:zlib'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { decompressLayer } from '../../src/rootfs/decompress.ts'
import { LargeWindows } from '../../src/rootfs/large-windows.ts'
import { windowBytesOf, ZSTD_MAGIC } from '../../src/rootfs/zstd-frames.ts'

const MIB = 1024 * 1024

function frame(...rest: readonly number[]): Buffer {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(ZSTD_MAGIC)
  return Buffer.concat([magic, Buffer.from(rest)])
}

/** Of a stream of unknown length: the frame asks for the whole window. */
function compressed(windowLog: number): Promise<Buffer> {
  const engine = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: windowLog } })
  return buffer(Readable.from([Buffer.alloc(3), Buffer.alloc(4)]).pipe(engine))
}

describe('the window of a frame', () => {
  test.each<[string, Buffer, number]>([
    ['1 KiB, the least', frame(0x00, 0x00), 1024],
    ['with an eighth more for each step', frame(0x00, (3 << 3) | 5), 8192 + 5 * 1024],
    ['behind which a dictionary id and a size stand', frame(0x83, 0x50, 1, 2, 3, 4, 9, 9, 9, 9), MIB],
    ['without one: its content, one byte', frame(0x20, 200), 200],
    ['without one: two bytes, from 256', frame(0x60, 1, 1), 256 + 257],
    ['without one: four bytes behind a dictionary id', frame(0xa1, 7, 0, 0, 0, 1), 2 ** 24],
    ['without one: eight bytes', frame(0xe0, 0, 0, 0, 0, 1, 0, 0, 0), 2 ** 32],
    ['cut short', frame(0xe0, 0, 0, 0), 0],
    ['of a magic number alone', frame(), 0],
  ])('%s', (_title, header, bytes) => {
    expect(windowBytesOf(header)).toBe(bytes)
  })

  test('is what the compressor was told', async () => {
    expect(windowBytesOf(await compressed(27))).toBe(128 * MIB)
    expect(windowBytesOf(await compressed(20))).toBe(MIB)
    expect(windowBytesOf(zstdCompressSync(Buffer.alloc(100_000)))).toBe(100_000)
  })
})

describe('large windows', () => {
  test('are given one after the other, small ones at once', async () => {
    const windows = new LargeWindows()
    const [first, second, third] = [windows.lease(), windows.lease(), windows.lease()]
    const got: string[] = []
    await first.take(9 * MIB)
    const second2 = second.take(9 * MIB).then(() => got.push('second'))
    await third.take(8 * MIB)
    // Who has one gets more without another wait.
    await first.take(128 * MIB)
    expect(got).toEqual([])
    first.release()
    await second2
    expect(got).toEqual(['second'])
  })

  test('pass by a layer that was given up while it waited', async () => {
    const windows = new LargeWindows()
    const [first, second, third] = [windows.lease(), windows.lease(), windows.lease()]
    await first.take(9 * MIB)
    const waiting = [second.take(9 * MIB), third.take(9 * MIB)]
    second.release()
    first.release()
    expect(await Promise.all(waiting)).toHaveLength(2)
  })

  test('are free again when a layer was read, or given up', async () => {
    const windows = new LargeWindows()
    const blob = await compressed(27)
    const read = (): AsyncGenerator<Buffer> =>
      decompressLayer(Readable.from([blob]), 'application/vnd.oci.image.layer.v1.tar+zstd', { windows })
    const givenUp = read()
    await givenUp.next()
    await givenUp.return(undefined)
    const again = await read().next()
    expect(again.value).toHaveLength(7)
  })
})
