/** Sources as apps open them: one download for all who ask the same place as the same user, and one each otherwise. */
import { describe, expect, test } from 'vitest'
import { BlobStore } from '../../src/registry/blob-store.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'
import { writeLayout } from '../support/layout.ts'
import {
  app,
  image,
  layerOf,
  newSession,
  other,
  registry,
  serve,
  signal,
  sourceOf,
  type Setup,
} from './world.ts'

const NOWHERE = Promise.resolve(undefined)

/** The layer for two apps at once, of one controller; returns how often the registry was asked for it. */
async function downloads(names: readonly string[]): Promise<number> {
  serve(registry, image, '1')
  const session = newSession()
  const store = new BlobStore(await temporaryFolder())
  const sources = names.map((name) => sourceOf(name, { session }))
  await Promise.all(sources.map((source) => store.fetch(source, layerOf, signal)))
  return registry.log().filter((line) => line.startsWith('GET blobs')).length
}

describe('apps that need one layer at the same time', () => {
  test('download it once', async () => {
    expect(await downloads([app(), app()])).toBe(1)
  })

  test('download it once, whatever their tags are', async () => {
    serve(registry, other, '2')
    expect(await downloads([app(), app(':2'), app('@' + image.digest)])).toBe(1)
  })
})

describe('the name of a place', () => {
  const placeOf = (name: string, setup: Setup = {}) => sourceOf(name, setup).place?.(signal)
  const user = (pair: string): Setup => ({ users: [[registry.host, pair]] })

  test('is one for a repository and a user', async () => {
    expect(await placeOf(app(':1'), user('a:secret'))).toBe(await placeOf(app(':2'), user('a:secret')))
  })

  test.each<[string, () => Promise<string | undefined>[]]>([
    ['repository', () => [placeOf(app()) ?? NOWHERE, placeOf(`${registry.host}/team/other:1`) ?? NOWHERE]],
    [
      'user',
      () => [placeOf(app(), user('a:secret')) ?? NOWHERE, placeOf(app(), user('b:secret')) ?? NOWHERE],
    ],
    ['password', () => [placeOf(app(), user('a:1')) ?? NOWHERE, placeOf(app(), user('a:2')) ?? NOWHERE]],
    ['login or none', () => [placeOf(app()) ?? NOWHERE, placeOf(app(), user('a:1')) ?? NOWHERE]],
  ])('differs by %s, and holds no secret', async (_what, places) => {
    const [first, second] = await Promise.all(places())
    expect(first).toBeDefined()
    expect(second).toBeDefined()
    expect(first).not.toBe(second)
    expect(`${first} ${second}`).not.toContain('secret')
  })

  test('is no matter of layouts, whose readers win nothing', async () => {
    const folder = await temporaryFolder()
    await writeLayout(folder, [{ image, tag: '1' }])
    expect(await placeOf(`oci:${folder}:1`)).toBeUndefined()
  })
})
