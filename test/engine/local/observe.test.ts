import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { InstanceStore, type InstanceRecord } from '../../../src/engine/local/instance-store.ts'
import { observeApp } from '../../../src/engine/local/observe.ts'
import { runPaths, statePaths, volumePaths, type StatePaths } from '../../../src/engine/local/paths.ts'
import { currentBootId, startTicksOf } from '../../../src/engine/local/process-facts.ts'
import { pulseOf } from '../../../src/engine/local/pulse.ts'
import { VolumeStore } from '../../../src/engine/local/volume-store.ts'
import { digest, KEY } from '../../support/builders.ts'
import { temporaryFolder } from './temporary.ts'

const ID = 'chat_mattermost_0123456789'
const ALIVE = `${process.pid} ${startTicksOf(process.pid) ?? ''} ${currentBootId()}\n`
const EXIT = '{"exitCode":3,"oomKills":0,"startedAt":100,"finishedAt":160}\n'

let paths: StatePaths
let instances: InstanceStore

beforeEach(async () => {
  paths = statePaths(await temporaryFolder())
  instances = new InstanceStore(paths)
  const record: InstanceRecord = {
    id: ID,
    key: KEY,
    revision: '0123456789',
    digest: digest('a1'),
    runtime: 'runc',
    identity: { uid: 0, gid: 0, additionalGids: [] },
    workingDir: '/',
    env: [],
    stopSignal: 'SIGTERM',
    graceSeconds: 30,
    hooks: [],
    // A mount of every process, so that this one can stand for a container.
    volumes: [
      { path: '/declared', destination: '/proc', exec: 'Required' },
      { path: '/not mounted', destination: '/no/such/mount', exec: 'Required' },
    ],
  }
  await instances.create(ID)
  await instances.publish(record)
})

async function aRun(run: number, files: Readonly<Record<string, string>>): Promise<void> {
  const { dir } = runPaths(paths, ID, run)
  await mkdir(dir, { recursive: true })
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(dir, name), content)
}

const observe = () => observeApp(paths, instances, new VolumeStore(paths), KEY)

async function theInstance() {
  const [instance, ...others] = (await observe()).instances
  expect(others).toEqual([])
  return instance
}

describe('an instance', () => {
  test('that never ran is prepared', async () => {
    expect(await theInstance()).toMatchObject({ id: ID, state: 'prepared', run: 0, failures: 0, restarts: 0 })
  })

  test('whose first launch never happened is prepared', async () => {
    await aRun(1, {})
    expect(await theInstance()).toMatchObject({ state: 'prepared', run: 0 })
  })

  test('whose third launch never happened is prepared after its second run', async () => {
    await aRun(2, { supervisor: ALIVE, exit: EXIT })
    await aRun(3, {})
    expect(await theInstance()).toMatchObject({ state: 'prepared', run: 2 })
  })

  test('whose supervisor lives is starting until there is a process', async () => {
    await aRun(1, { supervisor: ALIVE })
    expect(await theInstance()).toMatchObject({ state: 'starting', run: 1, termination: undefined })
    await aRun(1, { pid: `${process.pid}` })
    expect(await theInstance()).toMatchObject({ state: 'running', run: 1 })
  })

  test('that ended is told by its last run, counted or not', async () => {
    await aRun(9, { supervisor: ALIVE })
    await aRun(10, { supervisor: ALIVE, exit: EXIT })
    expect(await theInstance()).toMatchObject({
      state: 'ended',
      run: 10,
      recorded: false,
      termination: { exitCode: 3 },
    })
    await instances.writeRestarts(ID, { failures: 2, restarts: 9, countedRun: 10 })
    expect(await theInstance()).toMatchObject({ failures: 2, restarts: 9, recorded: true })
    await aRun(11, { supervisor: ALIVE, exit: EXIT })
    expect(await theInstance()).toMatchObject({ run: 11, recorded: false })
  })
})

test('mount flags of volumes are read from the kernel, of a running container only', async () => {
  expect((await observe()).execByPath).toEqual(new Map())
  await aRun(1, { supervisor: ALIVE, pid: `${process.pid}` })
  const { execByPath } = await observe()
  expect([...execByPath.keys()]).toEqual(['/declared'])
  expect(['exec', 'noexec']).toContain(execByPath.get('/declared'))
})

test.each([
  ['Ready', digest('a1'), 'Bound', true],
  ['Ready', undefined, 'Bound', false],
  ['SeedingAside', undefined, 'Pending', false],
  ['SeedingInPlace', digest('a1'), 'Pending', false],
  ['Importing', digest('a1'), 'Pending', false],
] as const)('a volume in phase %s, seeded from %s, is %s', async (phase, seededFrom, expected, seeded) => {
  const files = volumePaths(paths, KEY, '/data')
  await mkdir(files.data, { recursive: true })
  const record = {
    namespace: 'chat',
    app: 'mattermost',
    path: '/data',
    claimName: 'c',
    retain: 'Retain',
    phase,
    seededFrom,
  }
  await writeFile(files.record, JSON.stringify(record))
  expect((await observe()).volumes).toEqual([
    {
      path: '/data',
      claimName: 'c',
      phase: expected,
      seeded,
      ...(seeded ? { seededFrom: digest('a1') } : {}),
      retain: 'Retain',
    },
  ])
})

test('looking changes nothing, not even what is being made', async () => {
  await instances.create('chat_mattermost_9999999999')
  await aRun(1, { supervisor: ALIVE, exit: EXIT })
  const before = (await readdir(paths.root, { recursive: true })).toSorted()
  await observe()
  await pulseOf(paths, instances, KEY)
  expect((await readdir(paths.root, { recursive: true })).toSorted()).toEqual(before)
})

test('the pulse changes whenever a container starts, gets up or ends, and not in between', async () => {
  const seen: string[] = []
  const look = async () => {
    const pulse = await pulseOf(paths, instances, KEY)
    expect(await pulseOf(paths, instances, KEY)).toBe(pulse)
    seen.push(pulse)
  }
  await look()
  await aRun(1, { supervisor: ALIVE })
  await look()
  await aRun(1, { pid: `${process.pid}` })
  await look()
  await aRun(1, { exit: EXIT })
  await look()
  await aRun(2, { supervisor: ALIVE })
  await look()
  expect(new Set(seen).size).toBe(5)
})
