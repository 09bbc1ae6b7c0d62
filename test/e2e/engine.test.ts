/**
 * The local engine's promises on real runtimes: containers outlive the controller, exit codes are never lost, one
 * controller, restarts with backoff, limits that hold, StopSignal and grace.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { cgroupMode } from '../../src/engine/local/host.ts'
import { openLocal } from '../../src/engine/local/open.ts'
import { runPaths } from '../../src/engine/local/paths.ts'
import { busyboxImage, WAIT_FOREVER, type BusyboxInput } from '../support/busybox-image.ts'
import { dir } from '../support/layer.ts'
import { writeLayout } from '../support/layout.ts'
import { app, eventually, manifests, Sandbox } from '../support/sandbox.ts'

async function image(sandbox: Sandbox, input: BusyboxInput): Promise<string> {
  const layout = path.join(sandbox.dir, 'layout')
  await writeLayout(layout, [{ tag: 'latest', image: busyboxImage(input) }])
  return `oci:${layout}:latest`
}

/** The one instance of an app, with the pids of its supervisor and its container. */
async function instanceOf(sandbox: Sandbox, name: string) {
  const local = openLocal({ stateDir: sandbox.state })
  const [record] = await local.instances.list({ namespace: 'default', name })
  if (record === undefined) throw new Error(`no instance of ${name}`)
  const run = (await local.instances.runs(record.id)).at(-1) ?? 0
  const files = runPaths(local.paths, record.id, run)
  const supervisor = Number(readFileSync(files.supervisor, 'utf8').split(' ')[0])
  return {
    record,
    run,
    files,
    supervisor,
    pid: Number(readFileSync(files.pid, 'utf8')),
    runtime: local.runtimeOf(record.runtime),
  }
}

/** What 250m of cpu, 48Mi of memory and the default of processes are in the kernel's own files. */
const LIMIT_FILES: readonly (readonly [file: string, value: string])[] =
  cgroupMode() === 'v2'
    ? [
        ['memory.max', '50331648'],
        ['memory.swap.max', '0'],
        ['cpu.max', '25000 100000'],
        ['pids.max', '2048'],
      ]
    : [
        ['memory/memory.limit_in_bytes', '50331648'],
        ['memory/memory.memsw.limit_in_bytes', '50331648'],
        ['cpu/cpu.cfs_quota_us', '25000'],
        ['cpu/cpu.shares', '102'],
        ['pids/pids.max', '2048'],
      ]

function readLimit(file: string, id: string): string {
  const [controller, name] = file.split('/')
  const place = name === undefined ? `fairlead/${id}/${controller}` : `${controller}/fairlead/${id}/${name}`
  return readFileSync(path.join('/sys/fs/cgroup', place), 'utf8').trim()
}

describe.each(['runc', 'crun'] as const)('under %s', (runtime) => {
  test('a container outlives a killed controller, and the next one adopts it without a restart', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    await sandbox.mustUp([app('steady', await image(sandbox, {}))])
    const before = await instanceOf(sandbox, 'steady')
    await sandbox.stopController('SIGKILL')
    expect(existsSync(`/proc/${before.pid}`)).toBe(true)
    await sandbox.mustUp([app('steady', await image(sandbox, {}))])
    const after = await instanceOf(sandbox, 'steady')
    expect([after.pid, after.run]).toEqual([before.pid, before.run])
    expect((await sandbox.status('steady')).workload).toMatchObject({ ready: 1, restarts: 0 })
  })

  test('an exit while no controller runs is not lost', async () => {
    await using sandbox = await Sandbox.create({
      runtime,
      config: { backoff: { initial: '1m', max: '1m', reset: '10m' } },
    })
    const run = 'while [ ! -e /data/go ]; do sleep 0.1; done; rm /data/go; exit 42'
    await sandbox.mustUp([app('lost', await image(sandbox, { run, config: { Volumes: ['/data'] } }))])
    const before = await instanceOf(sandbox, 'lost')
    await sandbox.stopController('SIGKILL')
    await writeFile(path.join(await sandbox.volumeDir('lost', '/data'), 'go'), '')
    await eventually('the supervisor wrote how it ended', () => existsSync(before.files.exit))
    await sandbox.cli(['up', '-f', '-', '--no-wait'], {
      input: JSON.stringify(app('lost', await image(sandbox, { run, config: { Volumes: ['/data'] } }))),
    })
    await eventually('the status tells it', async () => {
      const workload = (await sandbox.status('lost')).workload
      return workload?.lastTermination?.exitCode === 42 && workload.restarts === 1
    })
  })

  test('a killed supervisor and its orphaned container are cleared before the app starts again', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    await sandbox.mustUp([app('orphaned', await image(sandbox, {}))])
    const before = await instanceOf(sandbox, 'orphaned')
    process.kill(before.supervisor, 'SIGKILL')
    await eventually(
      'another run is up',
      async () => (await sandbox.status('orphaned')).workload?.restarts === 1,
    )
    await eventually('it is ready', async () => (await sandbox.status('orphaned')).workload?.ready === 1)
    const after = await instanceOf(sandbox, 'orphaned')
    expect(after.pid).not.toBe(before.pid)
    expect(existsSync(`/proc/${before.pid}`)).toBe(false)
  })

  test('restarts a crashing app with growing pauses and says CrashLoopBackOff', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    await sandbox.up([app('crash', await image(sandbox, { run: 'echo crashed; exit 3' }))], ['--no-wait'])
    let status: Awaited<ReturnType<Sandbox['status']>> = {}
    const isLooping = async () => {
      status = await sandbox.status('crash')
      const ready = status.conditions?.find(({ type }) => type === 'Ready')
      return (
        ready?.reason === 'CrashLoopBackOff' &&
        ready.message.includes('exit code 3') &&
        (status.workload?.restarts ?? 0) >= 3
      )
    }
    await eventually('it is in CrashLoopBackOff', isLooping, 60_000, () => JSON.stringify(status))
    expect((await sandbox.ok(['logs', 'crash'])).match(/crashed/g)?.length).toBeGreaterThanOrEqual(3)
  })

  test('holds memory and process limits, and tells an out-of-memory kill', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const resource = app(
      'hog',
      await image(sandbox, { run: 'exec dd if=/dev/zero of=/dev/null bs=200M count=1' }),
      { resources: { limits: { memory: '32Mi' } } },
    )
    await sandbox.up([resource], ['--no-wait'])
    await eventually(
      'the kill is told',
      async () => (await sandbox.status('hog')).workload?.lastTermination?.reason === 'OutOfMemory',
    )
  })

  test('holds cpu, memory and process limits where the kernel keeps them, from the first instruction', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const resources = { limits: { cpu: '250m', memory: '48Mi' }, requests: { cpu: '100m' } }
    await sandbox.mustUp([app('bounded', await image(sandbox, {}), { resources })])
    const { record, pid } = await instanceOf(sandbox, 'bounded')
    const kept = LIMIT_FILES.map(([file, value]) => [file, value, readLimit(file, record.id)])
    expect(kept).toEqual(LIMIT_FILES.map(([file, value]) => [file, value, value]))
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(`/fairlead/${record.id}`)
  })

  test('refuses a limit that would not hold', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const result = await sandbox.up([
      app('disk', await image(sandbox, {}), { resources: { limits: { 'ephemeral-storage': '1Gi' } } }),
    ])
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('LimitUnsupported')
  })

  test('stops with the image’s StopSignal, then kills after the grace period', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const run = "trap 'echo got usr1 >/data/signal; exit 0' USR1; trap '' TERM; while :; do sleep 0.1; done"
    const polite = await image(sandbox, { run, config: { StopSignal: 'SIGUSR1', Volumes: ['/data'] } })
    await sandbox.mustUp([app('polite', polite)])
    const data = await sandbox.volumeDir('polite', '/data')
    await sandbox.ok(['down', 'polite'])
    expect(readFileSync(path.join(data, 'signal'), 'utf8')).toBe('got usr1\n')
    const stubborn = await image(sandbox, { run: "trap '' TERM; while :; do sleep 0.1; done" })
    await sandbox.mustUp([app('stubborn', stubborn, { terminationGracePeriodSeconds: 1 })])
    const { pid } = await instanceOf(sandbox, 'stubborn')
    const began = performance.now()
    await sandbox.ok(['down', 'stubborn'])
    expect(existsSync(`/proc/${pid}`)).toBe(false)
    expect(performance.now() - began).toBeGreaterThan(1000)
  })

  test('says for how long it waits for a container that does not end', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const stubborn = await image(sandbox, { run: "trap '' TERM; while :; do sleep 0.1; done" })
    await sandbox.mustUp([app('stubborn', stubborn, { terminationGracePeriodSeconds: 2 })])
    const { code, stderr } = await sandbox.cli(['restart', 'stubborn'])
    expect(code).toBe(0)
    expect(stderr).toContain('stubborn: Stopping the container, up to 2 s\n')
  })

  test('drops privileges: no capability for a user, no new privileges, seccomp on, only the usual devices', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const run = `cat /proc/self/status >/data/status; touch /data/done; ${WAIT_FOREVER}`
    const parts = [dir('data', { uid: 2000, gid: 2000 })]
    await sandbox.mustUp([
      app('least', await image(sandbox, { run, parts, config: { User: 'app', Volumes: ['/data'] } })),
    ])
    const data = await sandbox.volumeDir('least', '/data')
    await eventually('it wrote its status', () => existsSync(path.join(data, 'done')))
    const status = readFileSync(path.join(data, 'status'), 'utf8')
    expect(status).toMatch(/^CapEff:\t0{16}$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    expect(status).toMatch(/^Seccomp:\t2$/m)
  })

  test('root in a container can’t open a device that it makes itself', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const run = `busybox mknod /tmp/disk b 254 0; dd if=/tmp/disk of=/dev/null count=1 2>/data/denied; echo $? >/data/code; ${WAIT_FOREVER}`
    await sandbox.mustUp([app('device', await image(sandbox, { run, config: { Volumes: ['/data'] } }))])
    const data = await sandbox.volumeDir('device', '/data')
    await eventually('it tried', () => existsSync(path.join(data, 'code')))
    expect(readFileSync(path.join(data, 'code'), 'utf8').trim()).not.toBe('0')
    expect(readFileSync(path.join(data, 'denied'), 'utf8')).toMatch(/not permitted|can't open/)
  })

  test('leaves nothing behind: no mount, no cgroup, no process', async () => {
    let id: string
    {
      await using sandbox = await Sandbox.create({ runtime })
      await sandbox.mustUp([
        app('clean', await image(sandbox, { config: { Volumes: ['/data'] } }), {
          resources: { limits: { memory: '64Mi' } },
        }),
      ])
      const instance = await instanceOf(sandbox, 'clean')
      id = instance.record.id
      await sandbox.ok(['down', 'clean'])
      await eventually('the supervisor is gone', () => !existsSync(`/proc/${instance.supervisor}`))
      expect(readdirSync(path.join(sandbox.state, 'instances')).filter((name) => name.includes(id))).toEqual(
        [],
      )
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(sandbox.state)
    }
    for (const controller of ['memory', 'pids', 'cpu', 'devices', 'freezer'])
      expect(existsSync(`/sys/fs/cgroup/${controller}/fairlead/${id}`)).toBe(false)
  })
})

test('a claim that two apps name is mounted by one container at a time, unless they only read it', async () => {
  await using sandbox = await Sandbox.create()
  const reference = await image(sandbox, {})
  const naming = (claimName: string, more = {}) => ({
    volumes: [{ path: '/data', source: { claimName }, ...more }],
  })
  await sandbox.mustUp([app('first', reference, naming('common'))])
  const second = await sandbox.up([app('second', reference, naming('common'))], ['--wait-timeout', '3s'])
  expect(second.code).toBe(1)
  expect(second.stderr).toContain('VolumeInUse')
  await sandbox.ok(['down', 'first'])
  await eventually('the second gets it', async () => (await sandbox.status('second')).workload?.ready === 1)
  const reader = naming('common', { readOnly: true })
  await sandbox.mustUp([app('third', reference, reader), app('fourth', reference, reader)])

  const tar = path.join(sandbox.dir, 'common.tar')
  await sandbox.ok(['volumes', 'export', '--claim', 'common', '-o', tar])
  expect((await sandbox.cli(['volumes', 'rm', '--claim', 'common'])).stderr).toContain('VolumeInUse')
  await sandbox.ok(['down', 'second', 'third', 'fourth'])
  await sandbox.ok(['volumes', 'import', '--claim', 'common', tar, '--replace'])
  await sandbox.ok(['volumes', 'rm', '--claim', 'common'])
  expect(await sandbox.ok(['volumes', 'ls', '-o', 'json'])).not.toContain('common')
})

test('down -f forgets the Secrets of the file, but for one that another app uses', async () => {
  await using sandbox = await Sandbox.create()
  const reference = await image(sandbox, {})
  const secret = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    stringData: { KEY: name },
  })
  const using = (name: string, ...secrets: string[]) =>
    app(name, reference, { envFrom: secrets.map((entry) => ({ secretRef: { name: entry } })) })
  const file = [secret('own'), secret('common'), using('leaving', 'own', 'common')]
  await sandbox.mustUp([...file, using('staying', 'common')])
  expect(await sandbox.ok(['down', '-f', '-'], { input: manifests(file) })).toContain('kept Secret common')
  expect(readdirSync(path.join(sandbox.state, 'sources'))).toEqual(['Secret_default_common.json'])
})

test('a second controller on one state folder is refused', async () => {
  await using sandbox = await Sandbox.create()
  await sandbox.mustUp([app('one', await image(sandbox, {}))])
  const result = await sandbox.cli(['controller', '--engine', 'local'])
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('ControllerRunning')
})

test('what one image left and cannot be removed keeps no controller from starting', async () => {
  await using sandbox = await Sandbox.create()
  const kept = path.join(sandbox.state, 'rootfs', '.left.staging-Ab12Cd', 'mounted')
  await mkdir(kept, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', 'none', kept])
  try {
    await sandbox.mustUp([app('one', await image(sandbox, {}))])
    expect(await sandbox.controllerLog()).toContain('what was left half done stays')
  } finally {
    execFileSync('umount', [kept])
  }
  await sandbox.stopController()
  await sandbox.mustUp([app('one', await image(sandbox, {}))])
  await eventually('what was left is gone', () => !existsSync(path.dirname(kept)))
})

test('a reboot is recognised: what ran starts again at once, without counting as a crash', async () => {
  await using sandbox = await Sandbox.create({
    config: { backoff: { initial: '1m', max: '1m', reset: '10m' } },
  })
  await sandbox.mustUp([app('boot', await image(sandbox, {}))])
  const { files, supervisor, runtime, record } = await instanceOf(sandbox, 'boot')
  await sandbox.stopController('SIGKILL')
  // What a power cut leaves: no process, and a record from another boot.
  process.kill(supervisor, 'SIGKILL')
  const { reap } = await import('../../src/engine/local/supervisor.ts')
  await reap(runtime, record)
  await writeFile(files.supervisor, `${supervisor} 1 11111111-1111-1111-1111-111111111111\n`)
  await sandbox.mustUp([app('boot', await image(sandbox, {}))])
  const { workload } = await sandbox.status('boot')
  expect(workload).toMatchObject({ ready: 1, lastTermination: { reason: 'Rebooted' } })
})

test('a converged app is silent: no write, no log line, no request', async () => {
  await using sandbox = await Sandbox.create({ config: { outdatedCheckInterval: '1h' } })
  await sandbox.mustUp([app('quiet', await image(sandbox, { config: { Volumes: ['/data'] } }))])
  await sandbox.ok(['restart', 'quiet'])
  const snapshot = () =>
    readFileSync(path.join(sandbox.state, 'controller.log'), 'utf8') + timesBelow(sandbox.state)
  let last = snapshot()
  // Settled: two looks in a row, several pulses apart, that are alike. Then it must stay so.
  await eventually('nothing changes any more', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const now = snapshot()
    const same = now === last
    last = now
    return same
  })
  await new Promise((resolve) => setTimeout(resolve, 3000))
  expect(snapshot()).toBe(last)
})

/** Every file's and folder's change time below a folder, but for what containers themselves write. */
function timesBelow(root: string): string {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return entries
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !file.includes('/overlay/') && !file.includes('/runtime/'))
    .map((file) => `${file} ${lstatSync(file, { bigint: true }).ctimeNs}`)
    .join('\n')
}
