import { mkdir, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { runPaths, statePaths } from '../../../src/engine/local/paths.ts'
import { currentBootId, startTicksOf } from '../../../src/engine/local/process-facts.ts'
import { hookOutcome, isRegularFile, readRun } from '../../../src/engine/local/run-state.ts'
import { failureOf } from '../../support/expected-error.ts'
import { runToEnd, temporaryFolder } from './temporary.ts'

const ID = 'chat_mattermost_0123456789'
const ALIVE = `${process.pid} ${startTicksOf(process.pid) ?? ''} ${currentBootId()}\n`
const DEAD = `${2 ** 30} 1 ${currentBootId()}\n`
const BEFORE_REBOOT = '1 1 00000000-0000-0000-0000-000000000000\n'
const HOOKS = [
  { field: 'spec.hooks[0]', path: '/hook/first' },
  { field: 'spec.hooks[2]', path: '/hook/second' },
]

const exit = (exitCode: number, oomKills = 0) =>
  `{"exitCode":${exitCode},"oomKills":${oomKills},"startedAt":100,"finishedAt":160}\n`

type Files = Readonly<Record<string, string>>

/** The folder of run 1 with these files; names with a slash make folders. */
async function aRun(files: Files) {
  const paths = statePaths(await temporaryFolder())
  const { dir } = runPaths(paths, ID, 1)
  await mkdir(dir, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true })
    await writeFile(path.join(dir, name), content)
  }
  return { dir, read: (hooks = [] as typeof HOOKS) => readRun(paths, ID, 1, hooks) }
}

async function endOf(files: Files, hooks: typeof HOOKS = []) {
  const state = await (await aRun(files)).read(hooks)
  if (!('termination' in state)) throw new Error(`the run is ${state.kind}`)
  return state.termination
}

describe('a run', () => {
  test.each<[string, Files, string]>([
    ['without any file', {}, 'launching'],
    ['whose supervisor has not said anything', { supervisor: '' }, 'launching'],
    ['whose supervisor was cut off', { supervisor: '12 34' }, 'launching'],
    ['whose supervisor lives', { supervisor: ALIVE }, 'alive'],
    ['whose supervisor is gone', { supervisor: DEAD }, 'lost'],
    ['whose supervisor was before the reboot', { supervisor: BEFORE_REBOOT }, 'lost'],
    ['whose number another process has now', { supervisor: ALIVE.replace(/ \d+ /, ' 1 ') }, 'lost'],
    ['that ended', { supervisor: DEAD, exit: exit(0) }, 'ended'],
    ['that ended while its supervisor is still there', { supervisor: ALIVE, exit: exit(0) }, 'ended'],
  ])('%s is %s', async (_title, files, kind) => {
    expect((await (await aRun(files)).read()).kind).toBe(kind)
  })

  test('that does not exist is launching', async () => {
    expect(await readRun(statePaths(await temporaryFolder()), ID, 7, [])).toEqual({ kind: 'launching' })
  })

  test.each([
    ['12\n', 12],
    ['', undefined],
  ])('that lives and has the pid file %j has the container %s', async (pid, containerPid) => {
    expect(await (await aRun({ supervisor: ALIVE, pid })).read()).toMatchObject({
      kind: 'alive',
      containerPid,
    })
  })

  test('that lives started when its supervisor said who it is', async () => {
    const run = await aRun({ supervisor: ALIVE })
    await utimes(path.join(run.dir, 'supervisor'), 1000, 1000)
    expect(await run.read()).toMatchObject({ startedAtMs: 1_000_000, containerPid: undefined })
  })

  test('that a reboot cut off says so, and one that was killed says that', async () => {
    expect(await endOf({ supervisor: BEFORE_REBOOT })).toMatchObject({ reason: 'Rebooted', exitCode: 137 })
    expect(await endOf({ supervisor: DEAD })).toMatchObject({ reason: 'Lost', exitCode: 137 })
  })
})

describe('the end of a run', () => {
  const log = 'time="x" level=error msg="exec failed: \u001b[31mno such file"\n'
  const warning = 'time="x" level=warning msg="cgroup v1"\n'
  test.each<[string, Files, Record<string, unknown>]>([
    [
      'by itself',
      { exit: exit(0) },
      {
        reason: 'Exited',
        exitCode: 0,
        message: 'ended by itself',
        startedAtMs: 100_000,
        finishedAtMs: 160_000,
      },
    ],
    ['with a code', { exit: exit(3) }, { reason: 'Exited', exitCode: 3, message: 'ended with exit code 3' }],
    ['by a signal', { exit: exit(143) }, { reason: 'Exited', message: 'ended by signal 15' }],
    [
      'by a signal beyond all signals',
      { exit: exit(200) },
      { reason: 'Exited', message: 'ended with exit code 200' },
    ],
    ['as asked', { exit: exit(143), stopping: 'asked\n' }, { reason: 'Stopped', exitCode: 143 }],
    [
      'as asked, whatever the log says',
      { exit: exit(1), stopping: '', 'runtime.log': log },
      { reason: 'Stopped' },
    ],
    ['for its memory', { exit: exit(137, 1) }, { reason: 'OutOfMemory' }],
    [
      'killed, but not for its memory',
      { exit: exit(137, 0) },
      { reason: 'Exited', message: 'ended by signal 9' },
    ],
    ['by itself after a child was killed for its memory', { exit: exit(1, 2) }, { reason: 'Exited' }],
    [
      'before the runtime could begin',
      { exit: exit(98), 'runtime.log': 'fairlead: cannot mount the overlay\n' },
      { reason: 'RuntimeFailed', message: 'fairlead: cannot mount the overlay' },
    ],
    [
      'before the runtime could say why',
      { exit: exit(98) },
      { reason: 'RuntimeFailed', message: 'the container could not be started' },
    ],
    [
      'by an error of the runtime',
      { exit: exit(1), 'runtime.log': warning + log },
      { reason: 'RuntimeFailed' },
    ],
    [
      'with a code and only a warning of the runtime',
      { exit: exit(1), 'runtime.log': warning },
      { reason: 'Exited' },
    ],
    [
      'well, whatever the runtime wrote',
      { exit: exit(0), 'runtime.log': log },
      { reason: 'Exited', exitCode: 0 },
    ],
  ])('%s', async (_title, files, expected) => {
    expect(await endOf(files)).toMatchObject(expected)
  })

  test("the runtime's words are made safe to print", async () => {
    const { message } = await endOf({ exit: exit(1), 'runtime.log': log })
    expect(message).toContain(String.raw`\u001b[31mno such file`)
    expect(message).not.toContain('\u001b')
  })

  test.each(['', '{', '{}', 'null', '{"exitCode":"x"}', exit(0).slice(0, 20), `${exit(0)}${exit(0)}`])(
    'that is damaged is an error that names the file: %j',
    async (text) => {
      const run = await aRun({ exit: text })
      expect(await failureOf(() => run.read())).toMatch(/^StateCorrupt: .*\/runs\/1\/exit /)
    },
  )
})

describe('hooks', () => {
  test.each<[string, Files, Record<string, unknown>]>([
    ['that passed leave the word to the app', { 'hooks/ok': '\n' }, { reason: 'Exited', exitCode: 3 }],
    [
      'that failed are named with what they said',
      { 'hooks/failed': '1\n', 'hooks/1.code': '7\n', 'hooks/1.stderr': 'no licence\n' },
      {
        reason: 'HookFailed',
        message: 'spec.hooks[2] (/hook/second) ended with exit code 7; stderr: no licence',
      },
    ],
    [
      'that took too long say so',
      { 'hooks/failed': '0', 'hooks/0.timeout': '' },
      {
        reason: 'HookFailed',
        message:
          'spec.hooks[0] (/hook/first) ran past its timeout and was killed; it wrote nothing to stderr',
      },
    ],
    ['that no longer exist are told all the same', { 'hooks/failed': '9' }, { reason: 'HookFailed' }],
    [
      'that never got to their end are the fault of the runtime',
      { 'hooks/running': '0' },
      { reason: 'RuntimeFailed' },
    ],
    ['that left nothing are the fault of the runtime', {}, { reason: 'RuntimeFailed' }],
  ])('%s', async (_title, files, expected) => {
    expect(await endOf({ exit: exit(3), ...files }, HOOKS)).toMatchObject(expected)
  })

  test('what an app without hooks leaves in their place is not looked at', async () => {
    expect(await endOf({ exit: exit(3), 'hooks/failed': '0' })).toMatchObject({ reason: 'Exited' })
  })

  test('what they said is made safe to print and is bounded', async () => {
    const said = `\u001b]0;owned\u0007${'x'.repeat(100_000)}`
    const { message } = await endOf({ exit: exit(1), 'hooks/failed': '0', 'hooks/0.stderr': said }, HOOKS)
    expect(message).not.toContain('\u001b')
    expect(message.length).toBeLessThan(1000)
  })
})

/** The container could write to the folder of the results: none of this may be followed, opened or waited for. */
describe('in the place of a result', () => {
  const SECRET = 'root only\n'
  const makers: [string, (file: string, dir: string) => Promise<unknown>][] = [
    ['a symlink to a file of the host', (file, dir) => symlink(path.join(dir, 'secret'), file)],
    ['a symlink to nothing', (file) => symlink('/does/not/exist', file)],
    ['a symlink to an endless file', (file) => symlink('/dev/zero', file)],
    ['a FIFO', (file) => runToEnd(['mkfifo', file])],
    ['a socket', listenOn],
    ['a folder', (file) => mkdir(file)],
  ]

  test.each(makers)('%s is as good as nothing', async (_title, make) => {
    const dir = await temporaryFolder()
    await writeFile(path.join(dir, 'secret'), SECRET)
    const results = path.join(dir, 'results')
    await mkdir(results)
    await make(path.join(results, 'ok'), dir)
    await writeFile(path.join(results, 'running'), '4')
    expect(await hookOutcome(results)).toEqual({ unfinished: true, running: 4 })
    expect(await isRegularFile(path.join(results, 'ok'))).toBe(false)
  })

  test('a huge file is read only at its beginning', async () => {
    const results = await temporaryFolder()
    await writeFile(path.join(results, 'failed'), '0')
    await writeFile(path.join(results, '0.stderr'), 'beginning')
    await truncate(path.join(results, '0.stderr'), 2 ** 40)
    const outcome = await hookOutcome(results)
    const stderr = 'stderr' in outcome ? outcome.stderr : ''
    expect(stderr).toMatch(/^beginning/)
    expect(stderr).toHaveLength(64 * 1024)
  })

  test('a name that every object has means nothing', async () => {
    const results = await temporaryFolder()
    for (const name of ['__proto__', 'constructor', 'toString'])
      await writeFile(path.join(results, name), '1')
    expect(await hookOutcome(results)).toEqual({ unfinished: true, running: undefined })
  })

  test('a folder that is not there holds no result', async () => {
    expect(await hookOutcome(path.join(await temporaryFolder(), 'none'))).toEqual({
      unfinished: true,
      running: undefined,
    })
  })

  test('a regular file is one', async () => {
    const file = path.join(await temporaryFolder(), 'ok')
    expect(await isRegularFile(file)).toBe(false)
    await writeFile(file, '')
    expect(await isRegularFile(file)).toBe(true)
  })
})

async function listenOn(file: string): Promise<void> {
  const server = createServer()
  onTestFinished(() => {
    server.close()
  })
  await new Promise<void>((resolve) => {
    server.listen(file, resolve)
  })
}
