import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { InstanceStore, type InstanceRecord } from '../../../src/engine/local/instance-store.ts'
import { instancePaths, statePaths, type StatePaths } from '../../../src/engine/local/paths.ts'
import { instanceId } from '../../../src/reconcile/names.ts'
import { digest, KEY } from '../../support/builders.ts'
import { temporaryFolder } from './temporary.ts'

let paths: StatePaths
let store: InstanceStore

beforeEach(async () => {
  paths = statePaths(await temporaryFolder())
  store = new InstanceStore(paths)
})

function aRecord(revision: string, key = KEY): InstanceRecord {
  return {
    id: instanceId(key, revision),
    key,
    revision,
    digest: digest('a1'),
    runtime: 'runc',
    identity: { uid: 0, gid: 0, additionalGids: [] },
    workingDir: '/',
    env: ['A=ü'],
    stopSignal: 'SIGTERM',
    graceSeconds: 30,
    hooks: [],
    volumes: [],
  }
}

async function publish(record: InstanceRecord): Promise<void> {
  await store.create(record.id)
  await store.publish(record)
}

test('lists the instances of an app, and not those of apps with a similar name', async () => {
  const similar = [
    { namespace: 'chat', name: 'mattermost-2' },
    { namespace: 'chat', name: 'matter' },
    { namespace: 'chat2', name: 'mattermost' },
    { namespace: 'c', name: 'hat' },
  ]
  await publish(aRecord('aaaa'))
  await publish(aRecord('bbbb'))
  for (const key of similar) await publish(aRecord('cccc', key))
  expect(await store.list(KEY)).toEqual([aRecord('aaaa'), aRecord('bbbb')])
})

test('does not list what is still being made, and leaves it alone', async () => {
  await store.create(aRecord('aaaa').id)
  expect(await store.list(KEY)).toEqual([])
  // Somebody looked; whoever makes the instance can go on all the same.
  await store.publish(aRecord('aaaa'))
  expect(await store.list(KEY)).toEqual([aRecord('aaaa')])
})

test('making an instance begins with empty folders, whatever a crash left of it', async () => {
  const { id } = aRecord('aaaa')
  const files = instancePaths(paths, id)
  await store.create(id)
  await mkdir(path.join(files.runs, '7'))
  await writeFile(path.join(files.files, 'left over'), '')
  await store.create(id)
  expect(await store.runs(id)).toEqual([])
  expect(await readdir(files.files)).toEqual([])
})

test('a sweep takes what crashes left, and nothing else', async () => {
  await publish(aRecord('aaaa'))
  await store.create(aRecord('bbbb').id)
  await mkdir(path.join(paths.instances, '.removed-0123', 'deep'), { recursive: true })
  await writeFile(path.join(paths.instances, 'chat_mattermost.lock'), '')
  await writeFile(path.join(paths.instances, 'claim_0123456789abcdef.lock'), '')
  await store.sweep()
  expect((await readdir(paths.instances)).toSorted()).toEqual([
    'chat_mattermost.lock',
    'chat_mattermost_aaaa',
    'claim_0123456789abcdef.lock',
  ])
})

test('counts runs by number, not by name', async () => {
  const { id } = aRecord('aaaa')
  await store.create(id)
  for (const name of ['10', '9', '1', 'x', '2.tmp', '.removed-1'])
    await mkdir(path.join(instancePaths(paths, id).runs, name))
  expect(await store.runs(id)).toEqual([1, 9, 10])
})

test('restarts begin at none and come back as written', async () => {
  const { id } = aRecord('aaaa')
  expect(await store.restarts(id)).toEqual({ failures: 0, restarts: 0, countedRun: 0 })
  await store.create(id)
  await store.writeRestarts(id, { failures: 2, restarts: 5, countedRun: 6 })
  expect(await store.restarts(id)).toEqual({ failures: 2, restarts: 5, countedRun: 6 })
})

test('what is removed is gone, also twice', async () => {
  await publish(aRecord('aaaa'))
  await store.remove(aRecord('aaaa').id)
  await store.remove(aRecord('aaaa').id)
  expect(await readdir(paths.instances)).toEqual([])
})
