import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { isSameProcess, type ProcessIdentity } from '../../src/engine/local/process-facts.ts'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import {
  condition,
  DIGEST_A,
  DIGEST_B,
  DIGEST_C,
  NOON,
  runningStatus,
  storeApp,
  storeInstance,
  storeVolume,
} from './prepared-state.ts'
import { Desk, type RunOptions } from './run.ts'

const APP =
  'apiVersion: fairlead.dev/v1alpha1\nkind: ContainerApp\nmetadata: {name: web}\nspec: {image: "oci:none", suspend: true}\n'
const MAIN = join(import.meta.dirname, 'fake-controller.ts')

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return async () => {
    await endController()
    desk[Symbol.dispose]()
  }
})

function run(args: readonly string[], behaviour: string, options: RunOptions = {}) {
  return desk.run(args, { mainFile: MAIN, ...options, env: { FAKE_CONTROLLER: behaviour, ...options.env } })
}

function up(behaviour: string, args: readonly string[] = [], options: RunOptions = {}) {
  return run(['up', '-f', '-', ...args], behaviour, { input: APP, ...options })
}

/** The controller that a test started, by its own word. */
function controller(): ProcessIdentity | undefined {
  try {
    const info = JSON.parse(readFileSync(join(desk.state, 'controller.json'), 'utf8')) as ProcessIdentity
    return isSameProcess(info) ? info : undefined
  } catch {
    return undefined
  }
}

async function endController(): Promise<void> {
  const live = controller()
  if (live === undefined) return
  process.kill(live.pid, 'SIGTERM')
  while (isSameProcess(live)) await new Promise((resolve) => setTimeout(resolve, 10))
}

function starts(): readonly string[] {
  return readFileSync(join(desk.state, 'fake-starts'), 'utf8').trim().split('\n')
}

describe('up', () => {
  test('starts a controller in the background, waits, and prints only the result', async () => {
    const { code, stdout, stderr } = await up('ready')
    expect(code).toBe(0)
    expect(stdout).toBe(
      'NAME  IMAGE     DIGEST  READY  STATE      RESTARTS\nweb   oci:none  -       True   Suspended         0\n',
    )
    expect(stderr).toMatch(/^web: waits for the controller\n(web: Pulling\n)?web: Ready\n$/)
    expect(starts()).toEqual([`controller --engine local --exit-when-idle --state ${desk.state}`])
  })

  test('tells the warnings of what got there, with their reasons', async () => {
    const { code, stderr } = await up('warning')
    expect(code).toBe(0)
    expect(stderr.split('\n')).toContain('Warning: web: LayersDiverge: spec.image: nodes show something else')
  })

  test('uses the controller that runs', async () => {
    await up('ready')
    const first = controller()
    // Applied again, nothing is new: what runs needs no second look.
    expect(await up('ready')).toMatchObject({ code: 0 })
    expect(controller()).toEqual(first)
    expect(starts()).toHaveLength(1)
  })

  test('refuses another runtime than the one that a running controller has, and stores nothing', async () => {
    await up('ready', ['--runtime', 'runc'])
    expect(starts()[0]).toMatch(/--runtime runc$/)
    const other = await run(['up', '-f', '-', '--runtime', 'crun'], 'ready', {
      input: APP.replace('web', 'second'),
    })
    expect(other).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^ControllerRunning: .*runc, not crun/) as string,
    })
    expect((await desk.run(['status'])).stdout).not.toContain('second')
  })

  test('ends at once with the reason when the app is refused', async () => {
    const { code, stdout, stderr } = await up('refused')
    expect(code).toBe(1)
    expect(stderr).toContain('ExecNotFound: web: spec.command[0]: /none is not there\n')
    expect(stdout).toContain('ExecNotFound')
  })

  test('ends at the timeout with what it waited for', async () => {
    const { code, stderr } = await up('crashing', ['--wait-timeout', '5s'])
    expect(code).toBe(1)
    expect(stderr).toContain('TimedOut: web is not ready yet: CrashLoopBackOff: ended with exit code 7\n')
  })

  test('leaves the app starting when it is interrupted, and says so', async () => {
    const abort = new AbortController()
    const onStderr = (text: string) => {
      if (text.includes('Pulling')) abort.abort()
    }
    const { code, stderr } = await up('crashing', [], { signal: abort.signal, onStderr })
    expect(code).toBe(1)
    expect(stderr).toContain('web goes on starting; see: fairlead status web\n')
    expect(controller()).toBeDefined()
  })

  test('starts the controller again when it died', async () => {
    expect(await up('dies once')).toMatchObject({ code: 0 })
    expect(starts()).toHaveLength(2)
  })

  test('gives up when no controller stays, with its last words', async () => {
    const { code, stderr } = await up('dies')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ControllerUnavailable: .*cannot go on/m)
    expect(starts()).toHaveLength(3)
  })

  test('with --no-wait stores, starts a controller and returns', async () => {
    const { code, stderr, stdout } = await up('ready', ['--no-wait'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'stored 1 app; see: fairlead status\n' })
    expect(stdout).toContain('Pending')
  })

  test('as JSON is the resource with its status, alone on stdout', async () => {
    const { stdout } = await up('ready', ['-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'ContainerApp',
      metadata: { name: 'web' },
      status: { observedGeneration: 1 },
    })
  })

  test('on a terminal updates one line an app and leaves none behind', async () => {
    const abort = new AbortController()
    const onStderr = (text: string) => {
      if (text.includes('Pulling')) abort.abort()
    }
    const { stderr } = await up('crashing', [], { errorIsTerminal: true, signal: abort.signal, onStderr })
    expect(stderr).toMatch(/^web: waits for the controller\n/)
    expect(stderr).toContain('4.0 MiB\n\u001b[1A\u001b[0Jweb goes on starting')
    expect(stderr).toContain('[#####...............] 1.0 MiB of 4.0 MiB')
  })

  test('takes the pin of a document over, and asks nothing again that it answers', async () => {
    const metadata = JSON.stringify({ name: 'web', annotations: { [RESOLVE_REQUESTED_AT]: 'asked' } })
    const status = `status: {lastHandledRequest: asked, image: {reference: "oci:none", canonical: c, digest: "${DIGEST_A}", resolvedAt: "${NOON}"}}\n`
    await up('ready', ['-o', 'json'], { input: `${APP.replace('{name: web}', metadata)}${status}` })
    const stored = JSON.parse((await desk.run(['status', 'web', '-o', 'json'])).stdout) as {
      metadata: object
      status: { image: { digest: string }; lastHandledRequest?: string }
    }
    expect(stored.metadata).not.toHaveProperty('annotations')
    expect(stored.status.image.digest).toBe(DIGEST_A)
  })

  test('stores only Secrets and ConfigMaps without any controller', async () => {
    const secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {A: hunter2}\n'
    const { code, stdout, stderr } = await up('dies', [], { input: secret })
    expect(code).toBe(0)
    expect(stdout + stderr).not.toContain('hunter2')
    expect(() => starts()).toThrow('ENOENT')
  })
})

describe('down', () => {
  test('waits until the app is gone and says which volumes are kept', async () => {
    await storeApp(desk.state, 'chat/web', runningStatus())
    await storeVolume(desk.state, 'chat/web', '/data')
    const { code, stdout } = await run(['down', 'chat/web'], 'removes')
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^chat\/web removed\nkept its volume; 'up' finds it again, this deletes it for good:\n {2}fairlead volumes rm chat\/web \/data\n$/,
    )
  })

  test('takes the names from files', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    expect(await run(['down', '-f', '-'], 'removes', { input: APP })).toMatchObject({
      code: 0,
      stdout: 'web removed\n',
    })
  })

  test('touches nothing when one of the names is wrong', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    expect(await run(['down', 'web', 'wbe'], 'removes')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^NotFound: .*default\/wbe/) as string,
    })
    expect((await desk.run(['status', 'web'])).stdout).toContain('Running')
  })

  test('ends at the timeout with what keeps the app', async () => {
    await storeApp(
      desk.state,
      'web',
      runningStatus({ conditions: [condition('Ready', 'False', 'RuntimeFailed', 'stuck in the kernel')] }),
    )
    expect(await run(['down', 'web', '--wait-timeout', '1s'], 'nothing')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'TimedOut: web is not gone yet: RuntimeFailed: stuck in the kernel',
      ) as string,
    })
  })
})

describe('requests', () => {
  const HISTORY = [DIGEST_B, DIGEST_C].map((digest) => ({
    digest,
    reference: 'example/app:1',
    resolvedAt: NOON,
  }))

  async function annotationsAfter(args: readonly string[], status = runningStatus()) {
    const { image } = status
    await storeApp(
      desk.state,
      'web',
      image === undefined ? status : { ...status, image: { ...image, history: HISTORY } },
    )
    const result = await run([...args, '--no-wait'], 'nothing')
    const stored = JSON.parse((await desk.run(['status', 'web', '-o', 'json'])).stdout) as {
      metadata: { annotations?: Record<string, string> }
    }
    return { result, annotations: stored.metadata.annotations ?? {} }
  }

  const FRESH = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/

  test.each([
    [
      'rebuild asks anew',
      ['rebuild', 'web'],
      { [RESOLVE_REQUESTED_AT]: expect.stringMatching(FRESH) as string },
    ],
    [
      'rollback goes to the newest digest of the history',
      ['rollback', 'web'],
      { [RESOLVE_REQUESTED_AT]: expect.stringMatching(FRESH) as string, [ROLLBACK_TO]: DIGEST_B },
    ],
    [
      'rollback takes a whole digest',
      ['rollback', 'web', '--to', DIGEST_A],
      expect.objectContaining({ [ROLLBACK_TO]: DIGEST_A }) as object,
    ],
    [
      'rollback takes the beginning of a digest',
      ['rollback', 'web', '--to', 'ccc'],
      expect.objectContaining({ [ROLLBACK_TO]: DIGEST_C }) as object,
    ],
    [
      'restart asks for another container',
      ['restart', 'web'],
      { [RESTART_REQUESTED_AT]: expect.stringMatching(FRESH) as string },
    ],
  ])('%s', async (_title, args, expected) => {
    const { result, annotations } = await annotationsAfter(args)
    expect(result).toMatchObject({ code: 0, stdout: '' })
    expect(annotations).toEqual(expected)
  })

  test('a rebuild takes a rollback back', async () => {
    await annotationsAfter(['rollback', 'web'])
    await run(['rebuild', 'web', '--no-wait'], 'nothing')
    const stored = JSON.parse((await desk.run(['status', 'web', '-o', 'json'])).stdout) as {
      metadata: { annotations: object }
    }
    expect(Object.keys(stored.metadata.annotations)).toEqual([RESOLVE_REQUESTED_AT])
  })

  const OPEN: readonly (readonly [string, readonly string[]])[] = [
    ['rebuild', ['rebuild', 'web']],
    ['rollback', ['rollback', 'web']],
  ]

  test.each(OPEN)('an open %s is taken back by rebuild --cancel', async (open, args) => {
    await annotationsAfter(args)
    expect(await run(['rebuild', 'web', '--cancel'], 'nothing')).toMatchObject({
      code: 0,
      stdout: `web: the ${open} is taken back; pinned is ${DIGEST_A}\n`,
      stderr: '',
    })
    expect(await run(['rebuild', 'web', '--cancel'], 'nothing')).toMatchObject({
      code: 0,
      stdout: 'web: no rebuild or rollback is open\n',
    })
    const { stdout } = await run(['rebuild', 'web', '--cancel', '-o', 'json'], 'nothing')
    expect(Object.keys((JSON.parse(stdout) as { metadata: object }).metadata)).not.toContain('annotations')
  })

  test.each(OPEN)('an open %s is taken back by restart, which says so', async (open, args) => {
    await annotationsAfter(args)
    expect(await run(['restart', 'web', '--no-wait'], 'nothing')).toMatchObject({
      code: 0,
      stderr: `web: the ${open} that was still wanted is taken back\n`,
    })
    const { stdout } = await desk.run(['status', 'web', '-o', 'json'])
    const { metadata } = JSON.parse(stdout) as { metadata: { annotations: object } }
    expect(Object.keys(metadata.annotations)).toEqual([RESTART_REQUESTED_AT])
  })

  test.each([
    ['example/app:1', '\nwhat example/app:1 names now was not asked; a rebuild asks and takes it'],
    [`example/app@${DIGEST_A}`, ''],
  ])('a rollback of %s says what was not asked: %j', async (reference, sentence) => {
    const status = runningStatus()
    const image = { ...status.image, reference, digest: DIGEST_A, rollback: {} }
    await storeApp(desk.state, 'web', { ...status, image: { canonical: '', resolvedAt: NOON, ...image } })
    await storeInstance(desk.state, 'web', { alive: true })
    expect(await run(['rollback', 'web', '--to', DIGEST_A], 'ready')).toMatchObject({
      code: 0,
      stdout: `web: unchanged, ${DIGEST_A}${sentence}\n`,
    })
  })

  test('an answered request is nothing to take back', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web', { alive: true })
    await run(['rebuild', 'web'], 'ready')
    expect(await run(['rebuild', 'web', '--cancel'], 'nothing')).toMatchObject({
      code: 0,
      stdout: 'web: no rebuild or rollback is open\n',
    })
  })

  test.each([
    ['rollback without a history', ['rollback', 'web'], 'has no earlier digest'],
    [
      'rollback to what the history does not have',
      ['rollback', 'web', '--to', 'dddd'],
      'names no digest of the history',
    ],
    ['rollback to an empty word', ['rollback', 'web', '--to', ''], 'digest of the history'],
    ['a rebuild of an app that nobody stored', ['rebuild', 'none'], 'there is no app default/none'],
  ])('%s is NotFound', async (_title, args, said) => {
    await storeApp(desk.state, 'web', runningStatus())
    const { code, stderr } = await run(args, 'dies')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^NotFound: /)
    expect(stderr).toContain(said)
  })

  test('restart of a suspended app says that there is nothing to restart', async () => {
    await storeApp(
      desk.state,
      'web',
      runningStatus({ conditions: [condition('Ready', 'True', 'Suspended')] }),
    )
    expect(await run(['restart', 'web'], 'dies')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('web is suspended') as string,
    })
  })

  test('rebuild waits for the answer to its own request and says whether the digest changed', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web', { alive: true })
    expect(await run(['rebuild', 'web'], 'ready')).toMatchObject({
      code: 0,
      stdout: `web: unchanged, ${DIGEST_A}\n`,
    })
  })

  test('two requests are never the same', async () => {
    const { freshRequest } = await import('../../src/cli/request.ts')
    const requests = Array.from({ length: 200 }, () => freshRequest(Date.parse(NOON)))
    expect(new Set(requests).size).toBeGreaterThan(190)
    writeFileSync(join(desk.dir, 'done'), '')
  })
})
