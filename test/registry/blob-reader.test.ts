import { expect, test } from 'vitest'
import { respond } from '../support/hostile-registry.ts'
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
