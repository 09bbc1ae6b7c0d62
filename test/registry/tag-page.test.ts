/** A list of tags is read in pieces exactly as JSON.parse and the strict reader read it as a whole. */
import { describe, expect, test } from 'vitest'
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
