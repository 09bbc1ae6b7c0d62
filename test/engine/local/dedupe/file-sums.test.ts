/** The lines that equal files are found by: any name, any pieces, and nothing of what is damaged. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeSums, findSums, sumOf, type Reread } from '../../../../src/engine/local/dedupe/file-sums.ts'
import { atOnce } from '../../../../src/rootfs/work-slices.ts'
import type { LayerEntry } from '../../../../src/rootfs/types.ts'
import { entry } from './an-entry.ts'

const NAMES = [
  'plain',
  'new\nline',
  'quo"te\\',
  '\u0000\u00ff\u0080'.slice(1),
  'x'.repeat(255),
  '\u0001'.repeat(255),
]
const ENTRIES = NAMES.map((name, index) => entry(`7/${name}`, index))
const ANY = () => true

function sumsOf(entries: readonly LayerEntry[]): Buffer {
  return atOnce(encodeSums(entries))
}

function pieces(bytes: Buffer, size: number): Reread {
  return async function* () {
    for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
  }
}

/** With the hash of what they are now. */
function hashedAnew(body: string): Buffer {
  return Buffer.from(`${createHash('sha256').update(body).digest('hex')}\n${body}`)
}

describe('sums', () => {
  test.each([1, 2, 64, 65, 66, 100_000])('are read back in pieces of %i bytes', async (size) => {
    const found = await findSums(pieces(sumsOf(ENTRIES), size), ANY)
    expect(found).toEqual(ENTRIES.map(sumOf))
  })

  test('are told for what is asked', async () => {
    const wanted = sumOf(entry('x', 3))?.content ?? ''
    const found = await findSums(pieces(sumsOf(ENTRIES), 1000), (content) => content === wanted)
    expect(found.map(({ file }) => file)).toEqual([`7/${NAMES[3]}`])
  })

  test('keep what a file is a link to', async () => {
    const content = { size: 5000, file: '1/x', crc32: 9, sameAs: 'other/1/y' }
    const [found] = await findSums(pieces(sumsOf([entry('1/x', 9, { content })]), 50), ANY)
    expect(found?.sameAs).toBe('other/1/y')
  })

  test('of no files are no sums', async () => {
    expect(await findSums(pieces(sumsOf([]), 10), ANY)).toEqual([])
  })

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['are cut', (bytes) => bytes.subarray(0, -1)],
    ['are cut after a line', (bytes) => bytes.subarray(0, bytes.lastIndexOf('\n', -2) + 1)],
    ['have more', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
    [
      'have another byte',
      (bytes) => Buffer.from(bytes.toString('latin1').replace('plain', 'plaim'), 'latin1'),
    ],
    ['are no JSON', (bytes) => Buffer.from(bytes.toString('latin1').replace('["', '_"'), 'latin1')],
    ['are no JSON under a hash of their own', () => hashedAnew('0.1388 _')],
    ['are null', () => hashedAnew('0.1388 null\n')],
    ['name no file', () => hashedAnew('0.1388 ["",5,0]\n')],
    ['name what no file is called', () => hashedAnew('0.1388 ["","a\\u0000",0]\n')],
    ['have a link to a number', () => hashedAnew('0.1388 ["","a",5]\n')],
    ['have a line without its end', () => hashedAnew('0.1388 ["","a",0]')],
    ['are empty', () => Buffer.alloc(0)],
    ['are half a hash', (bytes) => bytes.subarray(0, 30)],
    ['never end a line', (bytes) => Buffer.concat([bytes, Buffer.alloc(100_000, 'x')])],
  ])('that %s offer nothing', async (_what, harm) => {
    expect(await findSums(pieces(harm(sumsOf(ENTRIES)), 1000), ANY)).toEqual([])
  })
})

test.each<[string, Partial<LayerEntry>]>([
  ['too small', { content: { size: 4095, file: 'x', crc32: 1 } }],
  ['without a check sum', { content: { size: 5000, file: 'x' } }],
  ['no file', { type: 'directory', content: undefined }],
])('what is %s has no sum', (_what, changes) => {
  expect(sumOf(entry('x', 1, changes))).toBeUndefined()
})
