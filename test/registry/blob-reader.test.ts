import { describe, expect, test } from 'vitest'
import { respond } from '../support/hostile-registry.ts'
import type { Behaviour } from '../support/registry/recorded.ts'
import { app, image, layerBytes, mirror, read, registry, serve, sourceOf } from './world.ts'

const PAGE = '<html>please log in</html>'

test('X5 a mirror with a page in a layer’s place is passed over at once', async () => {
  serve(registry, image, '1')
  const headers = { 'content-type': 'text/html', 'content-length': String(PAGE.length) }
  mirror.on(/blobs/, respond(200, headers, PAGE))
  const registries = { [registry.host]: { mirrors: [{ url: mirror.url }] } }
  expect(await read(sourceOf(app(), { registries }))).toEqual(layerBytes)
})

test('X5 of the registry itself such a page is a mismatch', async () => {
  serve(registry, image, '1')
  registry.on(/blobs/, respond(200, { 'content-length': String(PAGE.length) }, PAGE))
  await expect(read(sourceOf(app()))).rejects.toThrow(/ended after 26 bytes; its descriptor says/)
})

describe('a host that sends a byte now and then', () => {
  const pace = { graceMs: 30, bytesPerSecond: 1 << 30, maxMs: Infinity }

  /** Never ends by itself. */
  const trickle: Behaviour = (_request, response) => {
    response.writeHead(200, { 'content-length': String(layerBytes.length) })
    let sent = 0
    const timer = setInterval(() => response.write(layerBytes.subarray(sent, (sent += 1))), 2)
    response.on('close', () => clearInterval(timer))
    return true
  }

  test('is given up, in plain words, to be tried later', async () => {
    serve(registry, image, '1')
    registry.on(/blobs/, trickle)
    const reading = read(sourceOf(app(), { timeouts: { pace } }))
    await expect(reading).rejects.toMatchObject({
      reason: 'RegistryUnavailable',
      retry: 'backoff',
      message: expect.stringMatching(/^the registry sent \d+ bytes .*; at least 1073741824 bytes a second/),
    })
    expect(registry.log().filter((line) => line.includes('blobs'))).toHaveLength(1)
  })

  test('is left for the next one, which goes on where it stopped', async () => {
    serve(registry, image, '1')
    serve(mirror, image, '1')
    mirror.on(/blobs/, trickle)
    const registries = { [registry.host]: { mirrors: [{ url: mirror.url }] } }
    expect(await read(sourceOf(app(), { registries, timeouts: { pace } }))).toEqual(layerBytes)
    const [asked] = registry.requests.filter(({ path }) => path.includes('blobs'))
    expect(asked?.headers['range']).toMatch(/^bytes=[1-9]\d*-$/)
  })
})
