import { writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { beforeEach, describe, expect, test } from 'vitest'
import { appPaths, statePaths } from '../../src/engine/local/paths.ts'
import { requireDocuments, parseDocuments } from '../../src/crd/documents.ts'
import { condition, DIGEST_A, DIGEST_B, keyOf, NOON, runningStatus, storeApp } from './prepared-state.ts'
import { Desk } from './run.ts'

// oxlint-disable-next-line no-control-regex -- the control characters of colours
const COLOURS = /\u001b\[\d+m/g
const now = () => Date.parse(NOON) + 3 * 3_600_000

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

async function storeLongNames(): Promise<string> {
  const image = `registry.example.com:5000/${'long/'.repeat(20)}app:${'t'.repeat(60)}`
  await storeApp(
    desk.state,
    `${'n'.repeat(60)}/${'m'.repeat(60)}`,
    runningStatus({ conditions: [condition('Ready', 'False', 'ExecInterpreterMissing')] }),
    { image },
  )
  return image
}

describe('the table', () => {
  test('shows every app, sorted, with state, digest and restarts', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeApp(
      desk.state,
      'chat/mattermost',
      runningStatus({
        conditions: [
          condition('Ready', 'False', 'ExecNotFound'),
          condition('Stalled', 'True', 'ExecNotFound'),
        ],
      }),
    )
    await storeApp(desk.state, 'fresh')
    const { code, stdout, stderr } = await desk.run(['status'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(
      [
        'NAME             IMAGE          DIGEST        READY    STATE         RESTARTS',
        'chat/mattermost  example/app:1  aaaaaaaaaaaa  False    ExecNotFound         2',
        'fresh            example/app:1  -             Unknown  Pending              0',
        'web              example/app:1  aaaaaaaaaaaa  True     Running              2',
        '',
      ].join('\n'),
    )
  })

  test('notes what the state does not show, in a line of 80', async () => {
    const running = condition('Ready', 'True', 'Running')
    const outdated = condition('ImageOutdated', 'True', 'TagMoved', `example/app:1 now is ${DIGEST_B}`)
    const gone = condition(
      'PinnedImageGone',
      'True',
      'PinnedImageGone',
      `docker.io no longer has ${DIGEST_A}`,
    )
    await storeApp(desk.state, 'both', runningStatus({ conditions: [running, outdated, gone] }))
    await storeApp(desk.state, 'old', runningStatus({ conditions: [running, outdated] }))
    await storeApp(desk.state, 'web', runningStatus())
    const { stdout } = await desk.run(['status'], { env: { COLUMNS: '80' } })
    expect(stdout).toBe(
      [
        'NAME  IMAGE          DIGEST        READY  STATE    RESTARTS  NOTES',
        'both  example/app:1  aaaaaaaaaaaa  True   Running         2  PinnedImageGone, I…',
        'old   example/app:1  aaaaaaaaaaaa  True   Running         2  ImageOutdated',
        'web   example/app:1  aaaaaaaaaaaa  True   Running         2',
        '',
      ].join('\n'),
    )
  })

  test.each([
    ['a terminal of 40', 40, { columns: 40, outputIsTerminal: true, env: { NO_COLOR: '1' } }],
    ['a terminal of 120', 120, { columns: 120, outputIsTerminal: true, env: { NO_COLOR: '1' } }],
    ['a pipe with COLUMNS=80', 80, { columns: 40, env: { COLUMNS: '80' } }],
  ])('fits into %s, whatever the names are', async (_title, columns, options) => {
    await storeLongNames()
    const { stdout } = await desk.run(['status'], options)
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBe(columns)
    expect(stdout).toContain('aaaaaaaaaaaa'.slice(0, 4))
  })

  test.each([[{}], [{ COLUMNS: 'wide' }], [{ COLUMNS: '0' }]])('is not cut for a pipe: %j', async (env) => {
    const image = await storeLongNames()
    expect((await desk.run(['status'], { columns: 80, env })).stdout).toContain(` ${image} `)
  })

  test.each([
    [['status', '-n', 'chat'], ['chat/a']],
    [['status', '-n', 'default'], ['b']],
    [
      ['status', '-A'],
      ['chat/a', 'b'],
    ],
    [
      ['status', '-A', '-n', 'chat'],
      ['chat/a', 'b'],
    ],
    [['status', '-n', 'none'], []],
  ])('%j shows %j', async (args, names) => {
    await storeApp(desk.state, 'chat/a')
    await storeApp(desk.state, 'b')
    const { stdout } = await desk.run(args)
    expect(
      stdout
        .split('\n')
        .slice(1, -1)
        .map((line) => line.split(' ')[0]),
    ).toEqual(names)
  })

  test('says on stderr that there is nothing', async () => {
    expect(await desk.run(['status'])).toMatchObject({ code: 0, stdout: '', stderr: 'no apps\n' })
  })
})

describe('one app', () => {
  test('is a page that says what a reader must know', async () => {
    await storeApp(
      desk.state,
      'web',
      runningStatus({
        image: {
          reference: 'example/app:1',
          canonical: 'docker.io/example/app:1',
          digest: DIGEST_A,
          resolvedAt: NOON,
          source: { kind: 'registry', host: 'docker.io', mirror: false },
          history: [{ digest: DIGEST_B, reference: 'example/app:1', resolvedAt: NOON }],
        },
        volumes: [
          {
            path: '/data',
            claimName: 'web-data-0f0f0f0f',
            origin: 'Image',
            phase: 'Ready',
            exec: 'Allowed',
            seeded: true,
          },
          { path: '/old', claimName: 'web-old-0f0f0f0f', origin: 'Orphaned', phase: 'Ready', seeded: true },
        ],
        workload: {
          replicas: 1,
          ready: 1,
          revision: 'r1',
          restarts: 1,
          addresses: ['127.0.0.1:8065'],
          lastTermination: {
            exitCode: 137,
            reason: 'OutOfMemory',
            message: 'killed: it reached its memory limit',
            finishedAt: NOON,
          },
        },
        conditions: [
          condition('Ready', 'True', 'Running', 'the app is running'),
          condition(
            'Rendered',
            'True',
            'RenderedWithWarnings',
            'spec.probes: is not run by the local engine yet',
          ),
          condition('ImageOutdated', 'True', 'TagMoved', `example/app:1 now is ${DIGEST_B}`),
          condition('PinnedImageGone', 'True', 'PinnedImageGone', `docker.io no longer has ${DIGEST_A}`),
        ],
      }),
    )
    const { stdout, code } = await desk.run(['status', 'web'], { now })
    expect(code).toBe(0)
    expect(stdout).toBe(
      [
        'default/web  Running',
        '',
        'Image    example/app:1',
        `Digest   ${DIGEST_A}`,
        'Resolved 2026-01-01T12:00:00Z (3h ago) from docker.io',
        'History  1 other digest; fairlead rollback goes to the one pinned before',
        'Address  127.0.0.1:8065',
        'Workload revision r1, 1 of 1 up, 1 restart',
        'Last end OutOfMemory, exit code 137, 3h ago: killed: it reached its memory limit',
        '',
        'VOLUME  ORIGIN    EXEC     SEEDED  PHASE  CLAIM',
        '/data   Image     Allowed  yes     Ready  web-data-0f0f0f0f',
        '/old    Orphaned  -        yes     Ready  web-old-0f0f0f0f',
        '',
        'Rendered: RenderedWithWarnings',
        '  spec.probes: is not run by the local engine yet',
        'ImageOutdated: TagMoved',
        `  example/app:1 now is ${DIGEST_B}`,
        'PinnedImageGone',
        `  docker.io no longer has ${DIGEST_A}`,
        '',
      ].join('\n'),
    )
  })

  test('that was rolled back does not say that a registry was asked', async () => {
    const status = runningStatus()
    const { image: pinned } = status
    if (pinned === undefined) throw new Error('the app is pinned')
    const image = { ...pinned, rollback: { reference: 'example/app:0' } }
    await storeApp(desk.state, 'web', { ...status, image })
    const { stdout } = await desk.run(['status', 'web'], { now })
    expect(stdout).toContain(
      '\nChosen   2026-01-01T12:00:00Z (3h ago) by a rollback to what example/app:0 named before\n',
    )
    expect(stdout).not.toContain('Resolved')
  })

  test('that is stalled says why once', async () => {
    const why = 'spec.hooks[0].path: /hooks/none is not in the container'
    await storeApp(
      desk.state,
      'web',
      runningStatus({
        conditions: [
          condition('Ready', 'False', 'ExecNotFound', why),
          condition('Rendered', 'False', 'ExecNotFound', why),
          condition('Stalled', 'True', 'ExecNotFound', why),
        ],
      }),
    )
    const { stdout } = await desk.run(['status', 'web'])
    expect(stdout.split(why).length - 1).toBe(1)
    expect(stdout).toMatch(/^default\/web {2}ExecNotFound$/m)
  })

  test('fits into 80 columns but for what is copied, and escapes what an image or a registry said', async () => {
    const message = `\u001b[2J${'word '.repeat(200)}`
    const volumes = Array.from({ length: 30 }, (_, index) => ({
      path: `/v/${'p'.repeat(index * 4)}`,
      claimName: 'c'.repeat(63),
      origin: 'Image' as const,
      phase: 'Ready' as const,
      exec: 'Denied' as const,
      seeded: false,
    }))
    await storeApp(
      desk.state,
      `${'n'.repeat(63)}/${'m'.repeat(50)}`,
      runningStatus({
        volumes,
        conditions: [
          condition('Ready', 'False', 'Exited', message),
          condition('VolumesExecutable', 'False', 'VolumeNotExecutable', `other ${message}`),
        ],
      }),
    )
    const args = ['status', `${'n'.repeat(63)}/${'m'.repeat(50)}`]
    const { stdout } = await desk.run(args, { outputIsTerminal: true, env: { NO_COLOR: '1' } })
    const tooLong = stdout.split('\n').filter((line) => line.length > 80)
    expect(tooLong.filter((line) => !/^(?:VOLUME|\/v\/p*) /.test(line))).toEqual([])
    expect(stdout.match(/c{63}/g)?.length).toBe(30)
    expect(stdout).not.toContain('\u001b')
    expect((await desk.run(args)).stdout).toContain('word '.repeat(199))
  })

  test.each(['json', 'yaml'])('as %s is the resource with its status, and applies again', async (format) => {
    await storeApp(desk.state, 'chat/web', runningStatus())
    const { stdout } = await desk.run(['status', 'chat/web', '-o', format])
    const value = (format === 'json' ? JSON.parse(stdout) : parse(stdout)) as Record<string, unknown>
    expect(value).toMatchObject({
      kind: 'ContainerApp',
      metadata: { name: 'web', namespace: 'chat', generation: 1 },
      spec: { image: 'example/app:1' },
      status: runningStatus(),
    })
    const [document] = requireDocuments(parseDocuments(stdout, 'status')).apps
    expect(document?.app.status?.image?.digest).toBe(DIGEST_A)
  })

  test('that nobody stored is NotFound', async () => {
    expect(await desk.run(['status', 'chat/none', '-o', 'json'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^NotFound: there is no app chat\/none/) as string,
    })
  })

  test('whose file is damaged is told, not taken for absent', async () => {
    const key = await storeApp(desk.state, 'web')
    await writeFile(appPaths(statePaths(desk.state), key).resource, '{"half":')
    expect(await desk.run(['status', 'web'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^StateCorrupt: .*resource\.json/) as string,
    })
  })

  test.each([
    ['status', '{"half": "hunter2'],
    ['resource', '{"half": "hunter2'],
    ['resource', '5'],
    ['resource', '{"resource": []}'],
  ] as const)(
    'whose %s is damaged (%s) does not hide the others, and says what helps',
    async (file, text) => {
      await storeApp(desk.state, 'good', runningStatus())
      const bad = appPaths(statePaths(desk.state), await storeApp(desk.state, 'bad', runningStatus()))
      await writeFile(bad[file], text)
      const { code, stdout, stderr } = await desk.run(['status', '-o', 'json'])
      const { items } = JSON.parse(stdout) as { items: { metadata: { name: string } }[] }
      expect(items.map(({ metadata }) => metadata.name)).toEqual(['good'])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^StateCorrupt: \S+_bad\/\w+\.json .*; restore it .* remove it and apply .*\n$/)
      expect(stderr).not.toContain('hunter2')
    },
  )

  test.each([
    ['a status that is no status', '[]'],
    ['conditions that are none', '{"conditions": [1]}'],
    ['volumes without paths', '{"volumes": [{}]}'],
    ['an image without digest', '{"image": {}}'],
  ])('with %s is shown without it', async (_title, text) => {
    const key = await storeApp(desk.state, 'web')
    await writeFile(appPaths(statePaths(desk.state), key).status, text)
    expect(await desk.run(['status', 'web'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no controller has looked at it yet') as string,
    })
  })
})

test('several apps as JSON are a List', async () => {
  await storeApp(desk.state, 'a', runningStatus())
  await storeApp(desk.state, 'b')
  const list = JSON.parse((await desk.run(['status', '-o', 'json'])).stdout) as {
    kind: string
    items: { metadata: { name: string } }[]
  }
  expect([list.kind, list.items.map(({ metadata }) => metadata.name)]).toEqual(['List', ['a', 'b']])
})

describe('colours', () => {
  test.each([
    ['on a terminal', {}, true, true],
    ['not in a pipe', {}, false, false],
    ['not when NO_COLOR is set', { NO_COLOR: '1' }, true, false],
    ['when NO_COLOR is empty', { NO_COLOR: '' }, true, true],
    ['not on a dumb terminal', { TERM: 'dumb' }, true, false],
  ])('are there %s', async (_title, env, outputIsTerminal, coloured) => {
    await storeApp(desk.state, 'web', runningStatus())
    const plain = await desk.run(['status'])
    const { stdout } = await desk.run(['status'], { env, outputIsTerminal })
    expect(COLOURS.test(stdout)).toBe(coloured)
    expect(stdout.replaceAll(COLOURS, '')).toBe(plain.stdout)
  })
})

test('watching prints again when something changed, and only then, until it is interrupted', async () => {
  const key = await storeApp(desk.state, 'web')
  const abort = new AbortController()
  const answers: boolean[] = []
  const onStdout = (text: string) => {
    answers.push(text.includes('"status"'))
    if (answers.length === 1)
      writeFileSync(appPaths(statePaths(desk.state), key).status, JSON.stringify(runningStatus()))
    else abort.abort()
  }
  expect(
    await desk.run(['status', 'web', '-w', '-o', 'json'], { signal: abort.signal, onStdout }),
  ).toMatchObject({ code: 0 })
  expect(answers).toEqual([false, true])
})

test('the state folder is that of --state, else of the environment', async () => {
  await storeApp(`${desk.dir}/other`, 'elsewhere')
  expect((await desk.run(['status', '--state', 'other'])).stdout).toContain('elsewhere')
  expect((await desk.run(['--state', 'other', 'status'])).stdout).toContain('elsewhere')
  expect((await desk.run(['status'], { env: { FAIRLEAD_STATE: `${desk.dir}/other` } })).stdout).toContain(
    'elsewhere',
  )
  expect(keyOf('a')).toEqual({ namespace: 'default', name: 'a' })
})
