/** The small pure parts: waiting times, paths, lines. */
import { describe, expect, test } from 'vitest'
import { backoffMs, retryAfterMs, WATCH_BACKOFF } from '../../../../src/engine/kubernetes/api/backoff.ts'
import { linesOf } from '../../../../src/engine/kubernetes/api/json-lines.ts'
import { collectionPath, keyOf, objectPath, withQuery } from '../../../../src/engine/kubernetes/api/paths.ts'
import { UnreadableEvent, watchEvents } from '../../../../src/engine/kubernetes/api/watch-events.ts'
import { CONTAINER_APPS, NODES, PODS } from '../../../../src/engine/kubernetes/resources.ts'

describe('waiting', () => {
  test.each([
    [1, 0, 400],
    [1, 0.999, 800],
    [2, 0.999, 1600],
    [7, 0.999, 30_000],
    [1000, 0, 15_000],
  ])('after %i failures with chance %d: about %i ms', (failures, random, ms) => {
    expect(Math.abs(backoffMs(WATCH_BACKOFF, failures, random) - ms)).toBeLessThanOrEqual(ms / 100)
  })

  test.each([
    ['3', 3000],
    [' 3 ', 3000],
    ['Thu, 01 Jan 1970 00:00:09 GMT', 4000],
    ['Thu, 01 Jan 1970 00:00:01 GMT', 0],
    ['', undefined],
    ['soon', undefined],
    [undefined, undefined],
  ])('Retry-After %s', (header, ms) => expect(retryAfterMs(header, 5000)).toBe(ms))
})

describe('an event', () => {
  test.each([
    '{',
    'null',
    '[]',
    '{}',
    '{"object":null}',
    '{"object":[]}',
    '{"object":{"metadata":null}}',
    '{"object":{"metadata":"a"}}',
  ])('%s can not be read', async (line) => {
    async function* body() {
      await Promise.resolve()
      yield Buffer.from(`${line}\n`)
    }
    const answer = { status: 200, header: () => undefined, body: body(), discard: () => {} }
    const transport = { send: () => Promise.resolve(answer), close: () => {} }
    const { signal } = new AbortController()
    const request = {
      type: PODS,
      options: {},
      from: '1',
      timeoutSeconds: 1,
      idleMs: () => 1,
      signal,
      now: () => 0,
    }
    await expect(watchEvents(transport, request).next()).rejects.toThrow(UnreadableEvent)
  })
})

describe('paths', () => {
  test.each([
    [collectionPath(PODS, undefined), '/api/v1/pods'],
    [collectionPath(CONTAINER_APPS, 'x'), '/apis/fairlead.dev/v1alpha1/namespaces/x/containerapps'],
    [objectPath(PODS, 'x', 'a', 'status'), '/api/v1/namespaces/x/pods/a/status'],
    [objectPath(PODS, 'x', 'a b?c#d'), '/api/v1/namespaces/x/pods/a%20b%3Fc%23d'],
    [objectPath(NODES, undefined, 'n1'), '/api/v1/nodes/n1'],
    [withQuery('/x', { a: 'b&c', d: undefined }), '/x?a=b%26c'],
    [withQuery('/x', { d: undefined }), '/x'],
  ])('%s', (path, expected) => expect(path).toBe(expected))

  test.each([
    ['', 'a'],
    [undefined, 'a'],
    ['x', ''],
    ['x', '.'],
    ['x', '..'],
    ['..', 'a'],
    ['x/../y', 'a'],
    ['x', 'a/b'],
    ['x', String.raw`a\b`],
    ['x', 'a%2Fb'],
    ['x', 'a\nb'],
    ['x', 'a\u007fb'],
  ])('refuse namespace %j with name %j', (namespace, name) => {
    expect(() => objectPath(PODS, namespace, name)).toThrow(/invariant: .*(one segment|needs a namespace)/)
  })

  test('keys', () => {
    expect(keyOf({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'x' } })).toBe('x/a')
    expect(keyOf({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } })).toBe('a')
  })
})

describe('lines', () => {
  async function read(parts: readonly string[], maxBytes?: number): Promise<readonly string[]> {
    const lines: string[] = []
    const bytes = Buffer.from(parts.join('|'))
    // Cut where the parts are, also inside a character.
    const cuts = parts.map((_part, index) => Buffer.byteLength(parts.slice(0, index + 1).join('|')) - 1)
    const chunks = [0, ...cuts].map((cut, index, all) => bytes.subarray(cut, all[index + 1]))
    for await (const line of linesOf(asyncOf(chunks), maxBytes)) lines.push(line)
    return lines
  }

  async function* asyncOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield await Promise.resolve(chunk)
  }

  test('are put together from chunks', async () => {
    expect(await read(['{"a":"ä', 'ö"}\n\n  \n{', '}\n'])).toEqual(['{"a":"ä|ö"}', '{|}'])
  })
  test('fail when the last has no end', async () => {
    await expect(read(['{}\n{'])).rejects.toThrow('broke off inside a line')
  })
  test('are bounded', async () => {
    await expect(read(['x'.repeat(50), 'x'.repeat(60)], 100)).rejects.toThrow('longer than 100 bytes')
  })
})
