/** A list of tags is read in pieces exactly as JSON.parse and the strict reader read it as a whole. */
import { assert, array, constantFrom, integer, property } from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { parseStrictJson } from '../../src/image/json.ts'
import { TagPage } from '../../src/registry/tag-page.ts'

/** What is handed out of a document that comes in chunks of this length, or the reason why it is refused. */
function read(text: string, length: number): readonly unknown[] | string {
  const taken: unknown[] = []
  try {
    const page = new TagPage('the list', (element) => taken.push(element))
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += length) page.write(bytes.subarray(at, at + length))
    page.end()
  } catch (error) {
    return String(error)
  }
  return taken
}

/** The same by the reader of whole documents. */
function readWhole(text: string): readonly unknown[] | undefined {
  try {
    const value = parseStrictJson(Buffer.from(text), { reason: 'RegistryInvalid', what: 'the list' })
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const { tags } = value as { readonly tags?: unknown }
    return tags === null ? [] : Array.isArray(tags) ? (tags as unknown[]) : undefined
  } catch {
    return undefined
  }
}

const many = Array.from({ length: 4000 }, (_one, n) => `v${n}`)

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const otherLists = (count: number) => `{${Array.from({ length: count }, (_one, n) => `"${n}":[]`).join(',')}`
const longText = (chars: number, lists: number) =>
  `{"x":"${'x'.repeat(chars)}",${otherLists(lists).slice(1)}}`

const DOCUMENTS: readonly (readonly [string, string])[] = [
  ['none', '{"name":"a","tags":[]}'],
  ['null', '{"tags":null}'],
  ['some', '{"name":"a","tags":["1","2"]}'],
  ['some, first', ' { "tags" : [ "1" , "2" ] , "name" : "a" } '],
  ['elements of every kind', '{"tags":[1,null,true,{"tags":["x"]},["y",[]],"z"]}'],
  ['brackets, quotes and commas in texts', String.raw`{"name":"],[\"","tags":["a]","\\","\",b","\u005d"]}`],
  ['a key with an escape', String.raw`{"\u0074ags":["1"]}`],
  ['a key that ends like it', String.raw`{"x\"tags":["1"],"tags":["2"]}`],
  ['a long key that ends like it', String.raw`{"${'x'.repeat(300)},\"tags":["1"],"tags":["2"]}`],
  ['a list of another name, and one further in', '{"manifest":{"tags":["x"]},"child":["y"],"tags":["1"]}'],
  ['a key far from its list', `{"tags"${' '.repeat(500)}:["1","2"]}`],
  ['thousands', JSON.stringify({ name: 'a', tags: many })],
  ['thousands with blanks', JSON.stringify({ tags: many }, undefined, '    ')],
  ['more than one byte a letter', '{"name":"größe","tags":["ü","日本","😀"]}'],
  ['two lists', '{"tags":["1"],"tags":["2"]}'],
  ['two lists by case', '{"tags":["1"],"Tags":["2"]}'],
  ['no list', '{"name":"a"}'],
  ['a text', '{"tags":"1"}'],
  ['an object', '{"tags":{"a":["1"]}}'],
  ['a list as document', '["tags",["1"]]'],
  ['a comma at the end', '{"tags":["1",]}'],
  ['a comma at the beginning', '{"tags":[,"1"]}'],
  ['two commas', '{"tags":["1",,"2"]}'],
  ['no comma', '{"tags":["1" "2"]}'],
  ['thousands and a comma at the end', `${JSON.stringify({ tags: many }).slice(0, -2)},]}`],
  ['thousands and no comma', `{"tags":[${many.map((tag) => `"${tag}"`).join(' ')}]}`],
  ['blanks only, then a comma', `{"tags":[${' '.repeat(40_000)},"1"]}`],
  ['a bracket of the other kind', '{"tags":["1"}'],
  ['brackets of other kinds further in', '{"tags":[["1"},"2"]}'],
  ['a bracket too many', '{"tags":["1"]]}'],
  ['an end too early', '{"tags":["1","2"'],
  ['an end in a text', '{"tags":["1","2'],
  ['something behind it', '{"tags":["1"]}{}'],
  ['keys twice in an element', '{"tags":[{"a":1,"a":2}]}'],
  ['nothing', ''],
  ['a key of escapes only', String.raw`{"\u0074\u0061\u0067\u0073":["1"]}`],
  [
    'a key of escapes only, and one more letter',
    String.raw`{"\u0074\u0061\u0067\u0073s":["1"],"tags":["2"]}`,
  ],
  ['its key as a text', '{"name":"tags","child":["y"],"tags":["1"]}'],
  ['its key as a text only', '{"name":"tags",["1"]}'],
  ['as many levels as are read', `{"tags":[${nested(62)}]}`],
  ['a level too many', `{"tags":[${nested(63)}]}`],
  ['a level too many beside it', `{"tags":["1"],"child":${nested(64)}}`],
  ['many lists of other names', `${otherLists(1000)},"tags":["1"]}`],
  ['a long text, then many lists of other names', longText(50_000, 1000)],
]

describe.each(DOCUMENTS)('%s', (_title, text) => {
  test.each([1, 7, 4096, 1 << 20])('in chunks of %i bytes', (length) => {
    const whole = readWhole(text)
    const found = read(text, length)
    const isRefused = typeof found === 'string' && found.startsWith('ExpectedError: the list')
    expect(isRefused ? undefined : found).toEqual(whole)
  })
})

test('letters that are cut in two, and no letters at all, are told apart', () => {
  const page = new TagPage('the list', () => undefined)
  page.write(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))
  expect(() => page.end()).toThrow('the list is not valid UTF-8')
})

test('a refusal does not say where in a piece', () => {
  expect(read('{"tags":["1" "2"]}', 99)).toBe('ExpectedError: the list is not valid JSON')
})

test('elements are handed out while the list comes in', () => {
  const taken: unknown[] = []
  const page = new TagPage('the list', (element) => taken.push(element))
  page.write(Buffer.from(JSON.stringify({ tags: many }).slice(0, -2)))
  expect(taken.length).toBeGreaterThan(2000)
})

/** Pieces of documents that are nearly lists of tags, so that what is made of them is valid often enough. */
const WORDS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"tags"',
  '"name"',
  '"Tags"',
  String.raw`"t\u0061gs"`,
  '"a"',
  '1',
  ' ',
  '"\\"',
]

test('any text in any chunks is read as it is as a whole', () => {
  const words = array(constantFrom(...WORDS), { maxLength: 12 }).map((parts) => parts.join(''))
  const members = array(constantFrom('"tags":["1",["2"]]', '"a":[]', '"b":{"tags":["3"]}', '"tags":null'))
  const texts = [words, words.map((text) => `{"tags":[${text}]}`), members.map((all) => `{${all.join(',')}}`)]
  for (const text of texts)
    assert(
      property(text, integer({ min: 1, max: 40 }), (document, length) => {
        const found = read(document, length)
        expect(typeof found === 'string' ? undefined : found).toEqual(readWhole(document))
      }),
      { numRuns: 500 },
    )
})

/** Reads the document, all at once or drop by drop; returns how many bytes were copied for it. */
function bytesCopied(text: string, length: number): number {
  let copied = 0
  const [concat, set] = [Buffer.concat, Uint8Array.prototype.set]
  vi.spyOn(Buffer, 'concat').mockImplementation((list, total) => {
    const joined = concat(list, total)
    copied += joined.length
    return joined
  })
  vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, from, at) {
    copied += from.length
    set.call(this, from, at)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  read(text, length)
  vi.restoreAllMocks()
  return copied
}

describe.each<[string, string]>([
  ['many lists of other names', `${otherLists(5000)}}`],
  ['a long text, then many lists of other names', longText(100_000, 1000)],
  ['one entry that is a long text', `{"tags":["${'x'.repeat(100_000)}"]}`],
  ['one entry of many lists', `{"tags":[[${'[],'.repeat(20_000)}0]]}`],
])('of %s', (_title, text) => {
  test.each([1, 4096, 1 << 26])(
    'each byte is copied a few times at most, in chunks of %i bytes',
    (length) => {
      const copied = bytesCopied(text, length)
      expect(copied).toBeGreaterThanOrEqual(text.length / 2)
      expect(copied).toBeLessThan(6 * text.length)
    },
  )
})

test.each([
  ['a long text', `{"x":"${'x'.repeat(5_000_000)}`, 'beside its tags'],
  ['many lists of other names', otherLists(600_000), 'beside its tags'],
  ['one long entry', `{"tags":["${'x'.repeat(5_000_000)}`, 'in one entry'],
])('%s is refused before the page ends', (_title, text, where) => {
  const page = new TagPage('the list', () => undefined)
  const bytes = Buffer.from(text)
  let written = 0
  const write = () => {
    for (; written < bytes.length; written += 65_536) page.write(bytes.subarray(written, written + 65_536))
  }
  expect(write).toThrow(`the list has more than 4194304 bytes ${where}`)
  expect(written).toBeLessThanOrEqual(4_194_304)
})

test('a second list is refused where it begins', () => {
  const page = new TagPage('the list', () => undefined)
  expect(() => page.write(Buffer.from('{"tags":[],"tags":['))).toThrow('the key "tags" twice in one object')
})

test('a nesting without end is refused at once', () => {
  const page = new TagPage('the list', () => undefined)
  expect(() => page.write(Buffer.from('['.repeat(65)))).toThrow('the list is nested deeper than 64 levels')
})
