import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { AppStatus } from '../../../src/crd/status.ts'
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../../src/crd/labels.ts'
import { LocalAppStore } from '../../../src/engine/local/app-store.ts'
import { appPaths, statePaths, type StatePaths } from '../../../src/engine/local/paths.ts'
import { aResource, digest, KEY } from '../../support/builders.ts'
import { failureOf } from '../../support/expected-error.ts'
import { temporaryFolder } from './temporary.ts'

const PIN: AppStatus = {
  image: {
    reference: 'example.com/mattermost:10.12',
    canonical: 'c',
    digest: digest('a1'),
    resolvedAt: '2026-01-01T00:00:00Z',
  },
}

let paths: StatePaths
let store: LocalAppStore

beforeEach(async () => {
  paths = statePaths(await temporaryFolder())
  store = new LocalAppStore(paths)
})

function submit(
  resource: Record<string, unknown> = aResource(),
  more: { key?: typeof KEY; status?: AppStatus; baseDir?: string } = {},
) {
  return store.submit([{ key: KEY, resource, baseDir: '/home/user', status: undefined, ...more }])
}

const changedAt = async (file: string) => (await stat(file, { bigint: true })).mtimeNs
const files = () => appPaths(paths, KEY)

describe('submitting', () => {
  test('keeps the words of the user as they are', async () => {
    const resource = aResource(
      { image: 'Example.COM/App:1', env: [{ name: 'A', value: '$(B)' }] },
      { labels: { x: 'y' } },
    )
    await submit(resource)
    expect(await store.read(KEY)).toEqual({
      key: KEY,
      baseDir: '/home/user',
      generation: 1,
      resource,
      status: undefined,
      deletion: undefined,
    })
  })

  test('is private to the owner', async () => {
    await submit()
    expect((await stat(files().resource)).mode & 0o777).toBe(0o600)
    expect((await stat(files().dir)).mode & 0o777).toBe(0o700)
  })

  test('the same words again writes nothing, whatever the order of their keys', async () => {
    await submit(aResource({ command: ['/a'], user: '1' }))
    const before = await changedAt(files().resource)
    await submit(aResource({ user: '1', command: ['/a'] }))
    expect(await changedAt(files().resource)).toBe(before)
    expect((await store.read(KEY))?.generation).toBe(1)
  })

  test('wakes a controller even when nothing changed', async () => {
    await submit()
    const before = await changedAt(paths.trigger)
    await submit()
    expect(await changedAt(paths.trigger)).toBeGreaterThan(before)
  })

  test.each<[string, Record<string, unknown>, number]>([
    ['another spec', aResource({ user: '1' }), 2],
    ['other labels', aResource({}, { labels: { a: 'b' } }), 1],
    ['other annotations', aResource({}, { annotations: { a: 'b' } }), 1],
  ])('%s has generation %#', async (_title, resource, generation) => {
    await submit()
    await submit(resource)
    expect(await store.read(KEY)).toMatchObject({ generation, resource })
  })

  test('from another folder is a change, since relative paths now mean something else', async () => {
    await submit()
    await submit(aResource(), { baseDir: '/elsewhere' })
    expect(await store.read(KEY)).toMatchObject({ baseDir: '/elsewhere', generation: 1 })
  })

  test('keeps what commands asked for, which the file never had', async () => {
    await submit()
    await store.change(KEY, (resource) => ({
      ...resource,
      metadata: {
        ...KEY,
        annotations: { [RESOLVE_REQUESTED_AT]: 't1', [ROLLBACK_TO]: digest('a1'), other: 'x' },
      },
    }))
    await submit(aResource({ user: '1' }, { annotations: { mine: 'y' } }))
    expect((await store.read(KEY))?.resource).toMatchObject({
      metadata: { annotations: { [RESOLVE_REQUESTED_AT]: 't1', [ROLLBACK_TO]: digest('a1'), mine: 'y' } },
    })
    expect(JSON.stringify((await store.read(KEY))?.resource)).not.toContain('"other"')
  })

  test("prefers the file's own word for what commands ask for", async () => {
    await submit(aResource({}, { annotations: { [RESOLVE_REQUESTED_AT]: 't1' } }))
    await submit(aResource({}, { annotations: { [RESOLVE_REQUESTED_AT]: 't2' } }))
    expect((await store.read(KEY))?.resource).toMatchObject({
      metadata: { annotations: { [RESOLVE_REQUESTED_AT]: 't2' } },
    })
  })

  test('takes over the pin of a document that carries one, once, and never its conditions', async () => {
    const carried = {
      ...PIN,
      observedGeneration: 9,
      conditions: [
        {
          type: 'Ready',
          status: 'True' as const,
          reason: 'x',
          message: '',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    }
    await submit({ ...aResource(), status: carried }, { status: carried })
    expect(await store.read(KEY)).toMatchObject({ status: { image: PIN.image, conditions: [] } })
    expect((await store.read(KEY))?.resource).not.toHaveProperty('status')
    const other = { image: { ...PIN.image, digest: digest('b2') } } as AppStatus
    await submit({ ...aResource(), status: other }, { status: other })
    expect((await store.read(KEY))?.status?.image?.digest).toBe(digest('a1'))
  })

  test('many at once loses none', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    await Promise.all(
      names.map((name) => submit(aResource({}, { name }), { key: { namespace: 'chat', name } })),
    )
    expect((await store.list()).map(({ name }) => name)).toEqual(names)
  })

  test('what is still being removed is refused', async () => {
    await submit()
    await store.requestDeletion(KEY, false)
    expect(await failureOf(() => submit())).toMatch(/^NameConflict: .*still being removed/)
  })
})

describe('reading', () => {
  test('an app that is not there is undefined', async () => {
    expect(await store.read(KEY)).toBeUndefined()
    expect(await store.list()).toEqual([])
  })

  test('a status comes back by value', async () => {
    await submit()
    await store.writeStatus(KEY, PIN)
    expect((await store.read(KEY))?.status).toEqual(PIN)
  })

  test('a status whose digest can not be trusted is none', async () => {
    await submit()
    await writeFile(files().status, JSON.stringify({ image: { ...PIN.image, digest: 'sha256:short' } }))
    expect((await store.read(KEY))?.status).toBeUndefined()
  })

  test.each(['{', 'null', '5', '{}', '{"baseDir":5}'])(
    'a damaged resource is an error that names the file: %j',
    async (text) => {
      await submit()
      await writeFile(files().resource, text)
      expect(await failureOf(() => store.read(KEY))).toMatch(/^StateCorrupt: .*resource\.json/)
    },
  )

  test('the list knows apps by namespace and name, and nothing else that lies there', async () => {
    await submit()
    await submit(aResource(), { key: { namespace: 'a-b', name: 'c-d' } })
    await mkdir(path.join(paths.apps, '.removed-abc_def'))
    await writeFile(path.join(paths.apps, 'stray'), '')
    expect(await store.list()).toEqual([{ namespace: 'a-b', name: 'c-d' }, KEY])
  })
})

describe('changing and removing', () => {
  test('a change of annotations is no new generation', async () => {
    await submit()
    await store.change(KEY, (resource) => ({ ...resource, metadata: { ...KEY, annotations: { a: 'b' } } }))
    expect(await store.read(KEY)).toMatchObject({
      generation: 1,
      resource: { metadata: { annotations: { a: 'b' } } },
    })
  })

  test.each<[string, () => Promise<void>]>([
    ['a change', () => store.change(KEY, (resource) => resource)],
    ['a removal', () => store.requestDeletion(KEY, false)],
  ])('%s of an app that is not there says so', async (_title, work) => {
    await mkdir(paths.apps)
    expect(await failureOf(work)).toMatch(/^NotFound: there is no app chat\/mattermost/)
  })

  test.each([true, false])('a removal remembers whether volumes go, too: %s', async (allVolumes) => {
    await submit()
    await store.requestDeletion(KEY, allVolumes)
    expect((await store.read(KEY))?.deletion).toEqual({ allVolumes })
  })

  test('after a removal nothing of the app is left', async () => {
    await submit()
    await store.writeStatus(KEY, PIN)
    await store.remove(KEY)
    expect(await store.read(KEY)).toBeUndefined()
    expect((await readdir(paths.apps)).filter((name) => !name.startsWith('.trigger'))).toEqual([])
    await store.remove(KEY)
  })

  test('ifEmpty works only while no app is there', async () => {
    let worked = 0
    const work = () => {
      worked += 1
      return Promise.resolve()
    }
    await mkdir(paths.apps)
    expect(await store.ifEmpty(work)).toBe(true)
    await submit()
    expect(await store.ifEmpty(work)).toBe(false)
    expect(worked).toBe(1)
  })
})

test('no two files of the store are ever half written: nothing temporary is left', async () => {
  await submit()
  await store.writeStatus(KEY, PIN)
  await store.requestDeletion(KEY, true)
  expect((await readdir(files().dir)).toSorted()).toEqual(['deletion.json', 'resource.json', 'status.json'])
  expect(await readFile(files().deletion, 'utf8')).toContain('true')
})
