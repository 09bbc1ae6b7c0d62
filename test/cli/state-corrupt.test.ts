/** Whatever lies in the place of a state file or folder, every command ends soon and says so in plain words. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { basename, dirname } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  appPaths,
  instancePaths,
  runPaths,
  sourcePath,
  statePaths,
  volumePaths,
} from '../../src/engine/local/paths.ts'
import { keyOf, runningStatus, storeApp, storeInstance, storeVolume } from './prepared-state.ts'
import { Desk } from './run.ts'

const KEY = keyOf('web')
const GIB = 1024 ** 3

let desk: Desk
let id: string
beforeEach(async () => {
  desk = new Desk()
  await storeApp(desk.state, 'web', runningStatus())
  await storeApp(desk.state, 'other', runningStatus())
  id = await storeInstance(desk.state, 'web')
  await storeVolume(desk.state, 'web', '/data')
  return () => desk[Symbol.dispose]()
})

/** What is put in the place of a file. A socket's path may have a hundred characters only, so it is made where it lies. */
const KINDS: Readonly<Record<string, (path: string) => unknown>> = {
  'a folder': (path) => mkdirSync(`${path}/inside`, { recursive: true }),
  'a FIFO': (path) => execFileSync('mkfifo', [path]),
  'a socket': async (path) => {
    const before = process.cwd()
    process.chdir(dirname(path))
    const server = createServer().listen(basename(path))
    await once(server, 'listening')
    process.chdir(before)
    onTestFinished(() => void server.close())
  },
  'a giant': (path) => {
    writeFileSync(path, '')
    truncateSync(path, 10 * GIB)
  },
}

const FILES: Readonly<Record<string, (state: string) => string>> = {
  'resource.json': (state) => appPaths(statePaths(state), KEY).resource,
  'status.json': (state) => appPaths(statePaths(state), KEY).status,
  'deletion.json': (state) => appPaths(statePaths(state), KEY).deletion,
  'progress.json': (state) => appPaths(statePaths(state), KEY).progress,
  'controller.json': (state) => statePaths(state).controllerInfo,
  'controller.log': (state) => statePaths(state).controllerLog,
  'controller.lock': (state) => statePaths(state).controllerLock,
  'apps.lock': (state) => statePaths(state).appsLock,
  'apps/.trigger': (state) => statePaths(state).trigger,
  'instance.json': (state) => instancePaths(statePaths(state), id).record,
  'restarts.json': (state) => instancePaths(statePaths(state), id).restarts,
  'config.json': (state) => instancePaths(statePaths(state), id).config,
  exit: (state) => runPaths(statePaths(state), id, 1).exit,
  supervisor: (state) => runPaths(statePaths(state), id, 1).supervisor,
  log: (state) => instancePaths(statePaths(state), id).log,
  'volume.json': (state) => volumePaths(statePaths(state), KEY, '/data').record,
  'a Secret': (state) => sourcePath(statePaths(state), 'Secret', KEY.namespace, 'db'),
}

const COMMANDS: readonly (readonly string[])[] = [
  ['status'],
  ['status', 'web'],
  ['status', 'other', '-o', 'json'],
  ['logs', 'web'],
  ['exec', 'web', '--', 'true'],
  ['diff', 'app://web'],
  ['diff', '/usr/share/doc/tar', 'volume://web:/data'],
  ['volumes', 'ls'],
  ['volumes', 'rm', 'web:/data'],
  ['restart', 'web', '--no-wait'],
  ['rebuild', 'web', '--no-wait'],
  ['rollback', 'web', '--no-wait'],
  ['gc', '--dry-run'],
  ['gc', '--verify'],
  ['down', 'web', '--no-wait'],
]

const RAW = /\bE[A-Z]{3,}\b|bug in Fairlead|InternalError|node:/

describe.each(Object.keys(FILES))('in place of %s', (file) => {
  test.each(Object.keys(KINDS))('%s is told, and nothing waits for it', async (kind) => {
    // A log may have any length.
    if (file === 'log' && kind === 'a giant') return
    const path = FILES[file]?.(desk.state) ?? ''
    mkdirSync(dirname(path), { recursive: true })
    rmSync(path, { recursive: true, force: true })
    await KINDS[kind]?.(path)
    for (const args of COMMANDS) {
      const { code, stderr } = await desk.run(args)
      expect([args.join(' '), RAW.test(stderr) ? stderr : '']).toEqual([args.join(' '), ''])
      expect([args, code === 0 && stderr.includes('StateCorrupt')]).toEqual([args, false])
    }
  })
})

test.each<[string, string, readonly string[]]>([
  ['resource.json', 'a folder', ['status', 'web']],
  ['status.json', 'a FIFO', ['status', 'web']],
  ['status.json', 'a giant', ['status']],
  ['deletion.json', 'a socket', ['restart', 'web', '--no-wait']],
  ['controller.json', 'a folder', ['restart', 'web', '--no-wait']],
  ['controller.log', 'a folder', ['restart', 'web', '--no-wait']],
  ['instance.json', 'a giant', ['logs', 'web']],
  ['volume.json', 'a socket', ['volumes', 'ls']],
])('%s that is %s is StateCorrupt, with its path', async (file, kind, args) => {
  const path = FILES[file]?.(desk.state) ?? ''
  rmSync(path, { recursive: true, force: true })
  await KINDS[kind]?.(path)
  const { code, stderr } = await desk.run(args)
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^StateCorrupt: /)])
  expect(stderr).toContain(path)
})

test.each(['apps', 'instances', 'volumes'] as const)(
  'a file in place of the folder %s is told',
  async (folder) => {
    const path = statePaths(desk.state)[folder]
    rmSync(path, { recursive: true })
    writeFileSync(path, '')
    for (const args of COMMANDS) {
      const { code, stderr } = await desk.run(args)
      expect([args, code, stderr]).toEqual([
        args,
        expect.any(Number),
        expect.stringMatching(/^StateCorrupt: .* is no folder/),
      ])
      expect(code).not.toBe(0)
    }
  },
)

test.skipIf(process.geteuid?.() === 0)('a file that may not be read says who may', async () => {
  chmodSync(appPaths(statePaths(desk.state), KEY).status, 0)
  const { code, stderr } = await desk.run(['status', 'web'])
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^PermissionDenied: not allowed to read .*status\.json; run/),
  ])
})
