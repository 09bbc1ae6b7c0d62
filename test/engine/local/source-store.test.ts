import { readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { statePaths } from '../../../src/engine/local/paths.ts'
import { SourceStore, type SourceDocument } from '../../../src/engine/local/source-store.ts'
import { failureOf } from '../../support/expected-error.ts'
import { temporaryFolder, withUmask } from './temporary.ts'

const BYTES = Buffer.from([0, 255, 10, 0xc3, 0x28])
const SECRET: SourceDocument = {
  kind: 'Secret',
  namespace: 'chat',
  name: 'db',
  type: 'Opaque',
  data: { password: Buffer.from('hunter2').toString('base64'), blob: BYTES.toString('base64') },
}
const CONFIG: SourceDocument = {
  ...SECRET,
  kind: 'ConfigMap',
  type: '',
  data: { mode: Buffer.from('fast').toString('base64') },
}

async function aStore() {
  const paths = statePaths(await temporaryFolder())
  return { paths, store: new SourceStore(paths) }
}

test('Secrets lie where only the owner can read, whatever the umask', async () => {
  const { paths, store } = await aStore()
  await withUmask(0o000, () => store.submit([SECRET, CONFIG]))
  expect((await stat(paths.sources)).mode & 0o777).toBe(0o700)
  const modes = (await readdir(paths.sources)).map(
    async (name) => (await stat(path.join(paths.sources, name))).mode & 0o777,
  )
  expect(await Promise.all(modes)).toEqual([0o600, 0o600])
})

test('values come back byte for byte', async () => {
  const { store } = await aStore()
  await store.submit([SECRET])
  const sources = await store.forApp('chat', { secrets: ['db'], configMaps: [] })
  expect(sources.secret('db')).toEqual({ password: Buffer.from('hunter2'), blob: BYTES })
})

test('a Secret and a ConfigMap of one name are two things', async () => {
  const { store } = await aStore()
  await store.submit([SECRET, CONFIG])
  const sources = await store.forApp('chat', { secrets: ['db'], configMaps: ['db'] })
  expect(Object.keys(sources.secret('db') ?? {})).toEqual(['password', 'blob'])
  expect(Object.keys(sources.configMap('db') ?? {})).toEqual(['mode'])
})

test('an app sees what it names, of its own namespace, and nothing else', async () => {
  const { store } = await aStore()
  await store.submit([SECRET, { ...SECRET, name: 'other' }, { ...SECRET, namespace: 'shop', name: 'theirs' }])
  const sources = await store.forApp('chat', { secrets: ['db', 'gone', 'theirs'], configMaps: [] })
  expect(['db', 'other', 'gone', 'theirs'].map((name) => sources.secret(name) !== undefined)).toEqual([
    true,
    false,
    false,
    false,
  ])
})

test('names and namespaces may be as long as Kubernetes allows', async () => {
  const { store } = await aStore()
  const namespace = 'n'.repeat(63)
  const long = { ...SECRET, namespace, name: `${'s'.repeat(252)}1` }
  const twin = { ...long, name: `${'s'.repeat(252)}2`, data: {} }
  await store.submit([long, twin])
  expect(await store.read('Secret', namespace, long.name)).toEqual(long)
  expect(await store.read('Secret', namespace, twin.name)).toEqual(twin)
})

test('a later submission replaces the whole object', async () => {
  const { store } = await aStore()
  await store.submit([SECRET])
  await store.submit([{ ...SECRET, data: {} }])
  expect((await store.read('Secret', 'chat', 'db'))?.data).toEqual({})
})

test('submitting nothing makes nothing', async () => {
  const { paths, store } = await aStore()
  await store.submit([])
  expect(await readdir(paths.root)).toEqual([])
})

test('a damaged file is named, and nothing of its values is told', async () => {
  const { paths, store } = await aStore()
  await store.submit([SECRET])
  await writeFile(path.join(paths.sources, 'Secret_chat_db.json'), '{"data":{"password":"hunter2')
  const failure = await failureOf(() => store.read('Secret', 'chat', 'db'))
  expect(failure).toMatch(/^StateCorrupt: .*Secret_chat_db\.json/)
  expect(failure).not.toContain('hunter2')
})
