/**
 * Rendered specs under real runtimes: what the kernel says inside the container is what the spec promises. Needs root,
 * runc, crun and a static busybox.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseCapabilitySet } from '../../src/bundle/capabilities.ts'
import { readHookOutcome, runnerMounts, runnerScript } from '../../src/bundle/hook-runner.ts'
import { runtimeHooks } from '../../src/bundle/hooks.ts'
import { renderSpec } from '../../src/bundle/spec.ts'
import type { ContainerMount, HookWish, Identity, SecurityWish } from '../../src/bundle/types.ts'
import { aConfig, aHook, aSecurity, aSpecInput, aWish } from '../bundle/input.ts'

const BUSYBOX = '/usr/bin/busybox'
const OWN_CAPABILITIES = parseCapabilitySet(
  /^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '',
)
const USER: Identity = { uid: 2000, gid: 2000, additionalGids: [2000, 50], home: '/home/app', name: 'app' }
const ROOT: Identity = { uid: 0, gid: 0, additionalGids: [], home: '/root', name: 'root' }

let base = ''
let count = 0

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'bundle-e2e-'))
  chmodSync(base, 0o755)
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

interface Wanted {
  readonly command: string
  readonly identity?: Identity
  readonly security?: Partial<SecurityWish>
  /** Paths that get a volume of their own, owned by the user. */
  readonly volumes?: readonly string[]
  readonly volumeChanges?: Partial<ContainerMount>
  /** Volumes come from a tmpfs that is mounted noexec,nosuid on the host. */
  readonly noexecSource?: boolean
  readonly hooks?: readonly Partial<HookWish>[]
}

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly hookFiles: Readonly<Record<string, string>>
}

/** Runs `sh -c command` in a container of a busybox image with a spec of ours. */
function runContainer(runtime: 'runc' | 'crun', wanted: Wanted): Ran {
  const id = `fairlead-e2e-${process.pid}-${count++}`
  const bundle = join(base, id)
  const identity = wanted.identity ?? USER
  makeRootfs(join(bundle, 'rootfs'))
  const volumesDir = join(bundle, 'volumes')
  const runDir = join(bundle, 'run')
  for (const dir of [volumesDir, runDir]) mkdirSync(dir, { mode: 0o700 })
  chownSync(runDir, identity.uid, identity.gid)
  const hooks = (wanted.hooks ?? []).map((hook) => aHook(hook))
  const script = join(bundle, 'hooks.sh')
  writeFileSync(script, runnerScript({ hooks }), { mode: 0o755 })
  const volumes = (wanted.volumes ?? []).map((destination): ContainerMount => ({
    destination,
    source: join(volumesDir, destination.replaceAll('/', '_')),
    readOnly: false,
    exec: true,
    label: `volume ${destination}`,
    ...wanted.volumeChanges,
  }))
  const { spec } = renderSpec(
    aSpecInput({
      config: aConfig({ entrypoint: ['/bin/sh', '-c'], cmd: [wanted.command], env: ['PATH=/bin'] }),
      process: aWish(),
      identity,
      mounts: [...volumes, ...(hooks.length === 0 ? [] : runnerMounts({ busybox: BUSYBOX, script, runDir }))],
      hooks: runtimeHooks(hooks),
      security: aSecurity(wanted.security),
      host: {
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        cgroups: 'hybrid',
        nofileHard: 1024,
        filesystems: ['mqueue'],
        capabilities: OWN_CAPABILITIES,
        cpus: 2,
      },
      ...(runtime === 'runc' ? { cgroupsPath: `/${id}` } : {}),
    }),
  )
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))

  const prepare = [
    ...(wanted.noexecSource === true ? [`mount -t tmpfs -o noexec,nosuid,mode=755 none ${volumesDir}`] : []),
    ...volumes.map(
      ({ source }) => `mkdir -m 755 ${source} && chown ${identity.uid}:${identity.gid} ${source}`,
    ),
    ...(runtime === 'crun' ? ['mount -t cgroup2 none /sys/fs/cgroup'] : []),
    // Runtimes make missing folders of mount points with the umask they are started with: a tighter one would lock the
    // container's user out of its volumes.
    'umask 022',
  ]
  const command = runtime === 'crun' ? 'crun --cgroup-manager=disabled' : 'runc'
  const line = [...prepare, `exec ${command} --root ${bundle}/state run --bundle ${bundle} ${id}`].join(
    ' && ',
  )
  const result = spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', line], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  const names = readdirSync(runDir).filter((name) => name !== 'done')
  const hookFiles = Object.fromEntries(names.map((name) => [name, readFileSync(join(runDir, name), 'utf8')]))
  return {
    status: result.status,
    stdout: result.stdout.toString(),
    stderr: result.stderr.toString(),
    hookFiles,
  }
}

function makeRootfs(rootfs: string): void {
  for (const dir of ['bin', 'etc', 'dev', 'proc', 'sys', 'tmp', 'home/app'])
    mkdirSync(join(rootfs, dir), { recursive: true })
  copyFileSync(BUSYBOX, join(rootfs, 'bin/busybox'))
  chmodSync(join(rootfs, 'bin/busybox'), 0o755)
  for (const applet of [
    'sh',
    'cat',
    'id',
    'ls',
    'mkdir',
    'mount',
    'unshare',
    'chmod',
    'cp',
    'echo',
    'grep',
    'env',
    'sleep',
    'stat',
    'umask',
    'mknod',
    'head',
    'ps',
  ]) {
    symlinkSync('busybox', join(rootfs, 'bin', applet))
  }
  chmodSync(join(rootfs, 'tmp'), 0o1777)
  for (const dir of ['', 'bin', 'etc', 'home', 'home/app']) chmodSync(join(rootfs, dir), 0o755)
}

/** Lines of /proc/self/status by name. */
function statusLines(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const colon = line.indexOf(':')
      return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]]
    }),
  )
}

/** Mount flags of one place in the container, from its mountinfo. */
function mountFlags(text: string, place: string): readonly string[] {
  const line = text.split('\n').find((each) => each.split(' ')[4] === place)
  return line?.split(' ')[5]?.split(',') ?? []
}

describe.each(['runc', 'crun'] as const)('%s', (runtime) => {
  const run = (wanted: Wanted): Ran => runContainer(runtime, wanted)

  test('runs a plain user without any capability, with a filter and without new privileges', () => {
    const { status, stdout, stderr } = run({ command: 'cat /proc/self/status' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(statusLines(stdout)).toMatchObject({
      Uid: '2000\t2000\t2000\t2000',
      Gid: '2000\t2000\t2000\t2000',
      Groups: '50 2000',
      CapInh: '0000000000000000',
      CapPrm: '0000000000000000',
      CapEff: '0000000000000000',
      CapBnd: '00000000a80425fb',
      CapAmb: '0000000000000000',
      NoNewPrivs: '1',
      Seccomp: '2',
      Umask: '0022',
    })
  })

  test('runs root with the default capabilities only', () => {
    const { stdout } = run({ command: 'cat /proc/self/status', identity: ROOT })
    expect(statusLines(stdout)).toMatchObject({
      CapPrm: '00000000a80425fb',
      CapEff: '00000000a80425fb',
      CapInh: '0000000000000000',
      CapAmb: '0000000000000000',
    })
  })

  test('confines only as far as the user wishes', () => {
    const { stdout } = run({
      command: 'cat /proc/self/status',
      identity: ROOT,
      security: {
        seccomp: 'Unconfined',
        allowPrivilegeEscalation: true,
        capabilitiesDrop: ['ALL'],
        capabilitiesAdd: ['CHOWN'],
      },
    })
    expect(statusLines(stdout)).toMatchObject({ CapEff: '0000000000000001', NoNewPrivs: '0', Seccomp: '0' })
  })

  test('gives environment, directory, host name and arguments', () => {
    const { stdout } = run({ command: 'env; pwd; cat /proc/sys/kernel/hostname' })
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining(['PATH=/bin', 'HOME=/home/app', 'HOSTNAME=app', '/', 'app']),
    )
  })

  test('filters namespaces, mounts and keys even for root', () => {
    const { stdout } = run({
      command: 'unshare -m true; echo $?; unshare -U true; echo $?; mount -t tmpfs none /tmp; echo $?',
      identity: ROOT,
    })
    expect(
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .every((code) => code !== '0'),
    ).toBe(true)
  })

  test('mounts a volume so that its user can write and execute there', () => {
    const { status, stdout, stderr } = run({
      command: 'cp /bin/busybox /new/deep/data/echo && /new/deep/data/echo works && cat /proc/self/mountinfo',
      volumes: ['/new/deep/data'],
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('works')
    const flags = mountFlags(stdout, '/new/deep/data')
    expect(flags).toEqual(expect.arrayContaining(['rw', 'nosuid', 'nodev']))
    expect(flags).not.toContain('noexec')
  })

  test('mounts a volume executable also where the host’s file system is noexec', () => {
    const { stdout } = run({
      command: 'cp /bin/busybox /data/echo && /data/echo works; cat /proc/self/mountinfo',
      volumes: ['/data'],
      noexecSource: true,
    })
    expect(stdout).toContain('works')
    expect(mountFlags(stdout, '/data')).not.toContain('noexec')
  })

  test('mounts noexec and read-only where the user says so', () => {
    const { stdout } = run({
      command: 'cat /proc/self/mountinfo',
      volumes: ['/data'],
      volumeChanges: { exec: false, readOnly: true },
    })
    expect(mountFlags(stdout, '/data')).toEqual(expect.arrayContaining(['ro', 'noexec', 'nosuid', 'nodev']))
  })

  test('mounts nested volumes in depth order', () => {
    const { status, stdout } = run({
      command: 'cp /bin/busybox /a/b/echo && /a/b/echo inner && ls /a',
      volumes: ['/a/b', '/a'],
    })
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'inner\nb\n' })
  })

  test('hides kernel files and keeps others read-only', () => {
    const { stdout } = run({
      command:
        'cat /proc/kcore | head -c 1; cat /proc/keys /proc/timer_list; ls /sys/firmware /proc/acpi 2>/dev/null; echo x >/proc/sysrq-trigger; echo 1 >/proc/sys/kernel/panic; mkdir /sys/x; echo end',
      identity: ROOT,
    })
    expect(stdout.replaceAll(/^\/(?:sys|proc).*:\n/gm, '').trim()).toBe('end')
  })

  test('has the usual devices', () => {
    const { status, stdout } = run({
      command:
        'echo x >/dev/full; echo $?; echo null >/dev/null; echo $?; head -c 1 /dev/urandom >/dev/null; echo $?',
    })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '1\n0\n0\n' })
  })

  // Opening the kernel's log for writing needs no capability, so only the device rules can refuse it. Without a cgroup
  // manager crun keeps no rules; the engine then writes them itself.
  test.runIf(runtime === 'runc')('has no other devices, made by itself or not', () => {
    const { stderr } = run({ command: 'mknod /tmp/kmsg c 1 11 && : >/tmp/kmsg', identity: ROOT })
    const privileged = run({
      command: 'mknod /tmp/kmsg c 1 11 && : >/tmp/kmsg && echo opened',
      identity: ROOT,
      security: { privileged: true },
    })
    expect(stderr).toMatch(/can't create \/tmp\/kmsg: Operation not permitted/)
    expect(privileged).toMatchObject({ stderr: '', stdout: 'opened\n' })
  })

  test('keeps the image read-only when asked, but not its volumes', () => {
    const { stdout } = run({
      command: 'mkdir /x; echo $?; mkdir /data/x; echo $?',
      identity: ROOT,
      security: { readOnlyRootFilesystem: true },
      volumes: ['/data'],
    })
    expect(stdout).toBe('1\n0\n')
  })

  test('runs the hooks before the process, as its user, with nothing of its environment', () => {
    const { status, stdout, stderr, hookFiles } = run({
      command: 'cat /data/*',
      volumes: ['/data'],
      hooks: [
        {
          path: '/bin/sh',
          args: ['-c', 'id -u >/data/1; env >/data/2'],
          env: [{ name: 'K', value: "a'b c" }],
        },
        { path: '/bin/sh', args: ['-c', 'cat /proc/self/status; head -c 1; echo said >&2'] },
      ],
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        '2000',
        "K=a'b c",
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ]),
    )
    expect(stdout).not.toContain('HOSTNAME')
    expect(readHookOutcome(hookFiles)).toEqual({ ok: true })
    expect(statusLines(hookFiles['1.stdout'] ?? '')).toMatchObject({
      CapEff: '0000000000000000',
      NoNewPrivs: '1',
      Seccomp: '2',
    })
    expect(hookFiles['1.stdout']).toMatch(/\{$/)
    expect(hookFiles['1.stderr']).toBe('said\n')
  })

  test('leaves no process of the runner behind', () => {
    const { stdout } = run({
      command: 'ps',
      hooks: [
        { path: '/bin/sh', args: ['-c', 'true'] },
        { path: '/bin/sh', args: ['-c', 'sleep 0'] },
      ],
    })
    const commands = stdout.split('\n').filter((line) => /^\s*\d/.test(line))
    expect(commands.every((line) => /\bps$/.test(line))).toBe(true)
    expect(commands.length).toBeLessThanOrEqual(2)
  })

  test('starts the process with no signal blocked or ignored, also after hooks', () => {
    const { stdout, hookFiles } = run({
      command: 'exec cat /proc/self/status',
      hooks: [{ path: '/bin/cat', args: ['/proc/self/status'] }],
    })
    // Node gives its children signals 1 to 31 unignored; a real-time signal that whoever runs the tests ignores stays so.
    const own = BigInt(`0x${statusLines(readFileSync('/proc/self/status', 'utf8'))['SigIgn'] ?? '0'}`)
    const inherited = (own & ~0x7fffffffn).toString(16).padStart(16, '0')
    const clean = { SigBlk: '0000000000000000', SigIgn: inherited }
    expect(statusLines(stdout)).toMatchObject(clean)
    expect(statusLines(hookFiles['0.stdout'] ?? '')).toMatchObject(clean)
  })

  test('never starts the process when a hook fails, and tells which', () => {
    const { status, stdout, hookFiles } = run({
      command: 'echo started',
      hooks: [
        { path: '/bin/sh', args: ['-c', 'true'] },
        { path: '/bin/sh', args: ['-c', 'echo no database >&2; exit 7'] },
      ],
    })
    expect(status).not.toBe(0)
    expect(stdout).not.toContain('started')
    expect(readHookOutcome(hookFiles)).toEqual({
      failed: 1,
      code: 7,
      timedOut: false,
      stdout: '',
      stderr: 'no database\n',
    })
  })

  test('never starts the process when a hook takes too long', () => {
    const { stdout, hookFiles } = run({
      command: 'echo started',
      hooks: [{ path: '/bin/sh', args: ['-c', 'sleep 50'], timeoutSeconds: 1 }],
    })
    expect(stdout).not.toContain('started')
    expect(readHookOutcome(hookFiles)).toMatchObject({ failed: 0, timedOut: true })
  })
})
