/**
 * The command line as a user has it: real processes, real containers. What needs no container is tested in test/cli.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseAllDocuments } from 'yaml'
import { describe, expect, test } from 'vitest'
import { statePaths, instancePaths } from '../../src/engine/local/paths.ts'
import { instanceId } from '../../src/reconcile/names.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { dir, file } from '../support/layer.ts'
import { writeLayout } from '../support/layout.ts'
import { freePort } from '../support/free-ports.ts'
import { app, eventually, manifests, runProgram, Sandbox } from '../support/sandbox.ts'

const FAIRLEAD = path.join(import.meta.dirname, '../../bin/fairlead')

const IMAGE = busyboxImage({
  parts: [
    dir('data', { uid: 2000, gid: 2000 }),
    file('data/seed', 'seeded\n', { uid: 2000, gid: 2000 }),
    dir('work', { mode: 0o755 }),
  ],
  run: `echo "hello from $GREETING"; ${WAIT_FOREVER}`,
  config: { User: 'app', Volumes: ['/data'], WorkingDir: '/work', Env: ['PATH=/bin', 'GREETING=image'] },
})

async function layoutOf(sandbox: Sandbox, image = IMAGE): Promise<string> {
  const layout = path.join(sandbox.dir, 'layout')
  await writeLayout(layout, [{ tag: 'latest', image }])
  return `oci:${layout}:latest`
}

describe.each(['runc', 'crun'] as const)('under %s', (runtime) => {
  test('exec runs as the app does: user, groups, folder, environment, exit code, standard input', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const spec = {
      env: [{ name: 'SECRET', value: 'from the spec' }],
      securityContext: { supplementalGroups: [3000] },
    }
    await sandbox.mustUp([app('web', await layoutOf(sandbox), spec)])
    expect(await sandbox.ok(['exec', 'web', '--', 'id', '-u'])).toBe('2000\n')
    expect((await sandbox.ok(['exec', 'web', '--', 'id', '-G'])).trim().split(' ')).toEqual(['2000', '3000'])
    expect(await sandbox.ok(['exec', 'web', '--', 'sh', '-c', 'pwd; echo "$GREETING, $SECRET"'])).toBe(
      '/work\nimage, from the spec\n',
    )
    expect(await sandbox.ok(['exec', 'web', '--', 'grep', 'CapEff', '/proc/self/status'])).toMatch(
      /CapEff:\t0+$/m,
    )
    expect(await sandbox.ok(['exec', '-i', 'web', '--', 'cat'], { input: 'through\n' })).toBe('through\n')
    // Without -i the command finds an empty input and ends by itself.
    expect(await sandbox.ok(['exec', 'web', '--', 'cat'], { input: 'not through\n' })).toBe('')
    expect(await sandbox.cli(['exec', 'web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    })
  })

  test('exec -t gives a terminal, where there is one', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    await sandbox.mustUp([app('web', await layoutOf(sandbox))])
    const command = `${FAIRLEAD} exec -it web -- sh -c 'test -t 0 && test -t 1 && echo terminal; exit 5'`
    const result = await runProgram('script', ['-qec', command, '/dev/null'], { env: sandbox.env })
    expect(result.stdout).toContain('terminal')
    expect(result.code).toBe(5)
  })

  test('render prints byte for byte the bundle that the controller then writes', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const hooks = [{ path: '/bin/true', args: ["it's", '$(x)'] }]
    const resource = app('web', await layoutOf(sandbox), {
      hooks,
      volumes: [{ path: '/extra', exec: 'Forbidden' }],
      ports: [{ name: 'http', port: 8065 }],
    })
    const input = manifests([resource])
    const stream = await sandbox.ok(['render', '-f', '-', '--engine', 'local'], { input })
    const [pinned, instance] = parseAllDocuments(stream)
    await sandbox.ok(['up', '-f', '-'], { input: stream })
    const status = await sandbox.status('web')
    expect(status.image?.digest).toBe(pinned?.getIn(['status', 'image', 'digest']))
    const id = instanceId({ namespace: 'default', name: 'web' }, status.workload?.revision ?? '')
    expect(instance?.getIn(['metadata', 'name'])).toBe(id)
    const places = instancePaths(statePaths(sandbox.state), id)
    expect(instance?.getIn(['spec', 'files', 'config.json'])).toBe(await readFile(places.config, 'utf8'))
    expect(instance?.getIn(['spec', 'files', 'hooks.sh'])).toBe(
      await readFile(path.join(places.files, 'hooks.sh'), 'utf8'),
    )
  })
})

test('up waits for the container itself, not for what was said before the controller died', async () => {
  await using sandbox = await Sandbox.create()
  const resource = app('web', await layoutOf(sandbox))
  await sandbox.mustUp([resource])
  await sandbox.stopController('SIGKILL')
  await sandbox.mustUp([resource])
  expect(await sandbox.ok(['exec', 'web', '--', 'cat', '/data/seed'])).toBe('seeded\n')
})

test('up that is interrupted leaves the app starting and says so', async () => {
  await using sandbox = await Sandbox.create()
  // Nobody listens there: the controller asks again and again.
  const image = '127.0.0.1:1/nobody/there:v1'
  const child = spawn(FAIRLEAD, ['up', '-f', '-'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...sandbox.env },
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // Once: the second signal would end it without a word.
    const before = stderr.includes('RegistryUnavailable')
    stderr += text
    if (!before && stderr.includes('RegistryUnavailable')) child.kill('SIGINT')
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.end(manifests([app('web', image)]))
  expect(await ended).toBe(1)
  expect(stderr).toContain('web goes on starting; see: fairlead status web')
  expect(await sandbox.controller()).toBeDefined()
  expect((await sandbox.status('web')).conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
    status: 'False',
    reason: 'RegistryUnavailable',
  })
})

test('up applies a changed Secret: it waits until the container with the new value is up', async () => {
  await using sandbox = await Sandbox.create()
  const resource = app('web', await layoutOf(sandbox), { envFrom: [{ secretRef: { name: 's' } }] })
  const secret = (value: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    stringData: { GREETING: value },
  })
  await sandbox.mustUp([secret('one'), resource])
  await sandbox.mustUp([secret('two'), resource])
  expect(await sandbox.ok(['exec', 'web', '--', 'sh', '-c', 'echo $GREETING'])).toBe('two\n')
})

test('logs -f shows what is written, also after a restart, and ends quietly when nobody reads any more', async () => {
  await using sandbox = await Sandbox.create()
  await sandbox.mustUp([app('web', await layoutOf(sandbox))])
  const child = spawn(FAIRLEAD, ['logs', 'web', '-f'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...sandbox.env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  await eventually('the first container was heard', () => stdout === 'hello from image\n')
  await sandbox.ok(['restart', 'web'])
  await eventually('the second container was heard', () => stdout === 'hello from image\nhello from image\n')
  child.stdout.destroy()
  // The next words find no reader.
  await sandbox.ok(['restart', 'web'])
  expect(await ended).toBe(0)
  expect(stderr).toBe('')
})

test('volumes: in use they are safe, afterwards they are listed, exported, imported and deleted', async () => {
  await using sandbox = await Sandbox.create()
  const resource = app('web', await layoutOf(sandbox))
  await sandbox.mustUp([resource])
  await sandbox.ok(['exec', 'web', '--', 'sh', '-c', 'echo mine >/data/mine'])
  const backup = path.join(sandbox.dir, 'data.tar')
  await sandbox.ok(['volumes', 'export', 'web', '/data', '-o', backup])
  for (const args of [
    ['rm', 'web', '/data'],
    ['import', 'web', '/data', backup, '--replace'],
  ]) {
    expect(await sandbox.cli(['volumes', ...args])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('VolumeInUse') as string,
    })
  }
  expect(await sandbox.ok(['down', 'web'])).toContain('fairlead volumes rm web /data')
  expect(await sandbox.ok(['volumes', 'ls'])).toMatch(/^web +\/data +AppGone +Ready/m)
  await sandbox.ok(['volumes', 'rm', 'web', '/data'])
  expect((await sandbox.cli(['volumes', 'ls'])).stdout).toBe('')
  await sandbox.ok(['volumes', 'import', 'web', '/data', backup])
  await sandbox.mustUp([resource])
  // What was imported is not seeded over, and belongs to whom it belonged.
  expect(
    await sandbox.ok(['exec', 'web', '--', 'sh', '-c', 'cat /data/mine /data/seed; echo more >>/data/mine']),
  ).toBe('mine\nseeded\n')
})

test('another user than root is told so in words, and may ask what needs no root', async () => {
  await using sandbox = await Sandbox.create()
  const work = await mkdtemp(path.join(tmpdir(), 'fairlead-nobody-'))
  try {
    const asNobody = (...args: string[]) =>
      runProgram(
        'setpriv',
        [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          '--inh-caps=+dac_read_search',
          '--ambient-caps=+dac_read_search',
          '--',
          FAIRLEAD,
          ...args,
        ],
        { env: sandbox.env },
      )
    await sandbox.mustUp([app('web', await layoutOf(sandbox))])
    expect(await asNobody('up', '-f', path.join(work, 'x.yaml'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^PermissionDenied: fairlead up needs root/) as string,
    })
    expect(await asNobody('version')).toMatchObject({ code: 0 })
    const plain = (...args: string[]) =>
      runProgram(
        'setpriv',
        [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          '--',
          'sh',
          '-c',
          'test -x "$1" || exit 99; exec "$@"',
          'sh',
          FAIRLEAD,
          ...args,
        ],
        { env: sandbox.env },
      )
    const status = await plain('status')
    // Where the checkout itself is private, there is nothing to run as another user.
    if (status.code !== 99)
      expect(status).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^PermissionDenied: /) as string,
      })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
})

test('a reader that ends early ends the command quietly', async () => {
  await using sandbox = await Sandbox.create()
  const many = Array.from({ length: 300 }, (_, index) => app(`app-${index}`, 'oci:none', { suspend: true }))
  await writeFile(path.join(sandbox.dir, 'apps.yaml'), manifests(many))
  const result = await runProgram(
    'bash',
    [
      '-c',
      'set -o pipefail; "$1" check --no-images -f "$2" -o json | true; echo "${PIPESTATUS[0]}"',
      'bash',
      FAIRLEAD,
      path.join(sandbox.dir, 'apps.yaml'),
    ],
    { env: sandbox.env },
  )
  expect(result).toMatchObject({ stdout: '0\n', stderr: '' })
})

test('a second controller is refused, the first one ends gracefully and its containers stay', async () => {
  await using sandbox = await Sandbox.create()
  await sandbox.mustUp([app('web', await layoutOf(sandbox))])
  expect(await sandbox.cli(['controller', '--engine', 'local'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('ControllerRunning: another controller serves') as string,
  })
  await sandbox.stopController('SIGTERM')
  expect(await sandbox.controllerLog()).toContain('controller stopped')
  expect(await sandbox.ok(['exec', 'web', '--', 'cat', '/data/seed'])).toBe('seeded\n')
})

test('a controller tells Prometheus about its passes where it is asked to', async () => {
  await using sandbox = await Sandbox.create({ config: { goneCheckInterval: '300ms' } })
  const port = await freePort()
  const ended = sandbox.cli(['controller', '--engine', 'local', '--metrics-address', `127.0.0.1:${port}`])
  await eventually('the controller runs', async () => (await sandbox.controller()) !== undefined)
  await sandbox.mustUp([app('web', await layoutOf(sandbox))])
  const scrape = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const held = /^fairlead_image_presence_checks_total\{result="held"\} [1-9]/m
  await eventually('the digest was asked for', async () => held.test(await scrape()))
  const text = await scrape()
  expect(text).toMatch(/^controller_runtime_reconcile_total\{.*result="success"\} [1-9]/m)
  expect(text).toContain('fairlead_apps{ready="True"} 1\n')
  expect(text).toContain('fairlead_image_presence_checks_total{result="gone"} 0\n')
  for (const name of ['leader_election_master_status', 'rest_client_requests_total'])
    expect(text).not.toContain(name)
  await sandbox.stopController('SIGTERM')
  expect((await ended).code).toBe(0)
})
