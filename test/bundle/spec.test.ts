import { describe, expect, test } from 'vitest'
import { parseCapabilitySet } from '../../src/bundle/capabilities.ts'
import { renderSpec } from '../../src/bundle/spec.ts'
import type { ContainerMount, SpecInput } from '../../src/bundle/types.ts'
import { aConfig, aSecurity, aSpecInput, aWish } from './input.ts'

function volume(destination: string, changes: Partial<ContainerMount> = {}): ContainerMount {
  return {
    destination,
    source: `/state${destination}`,
    readOnly: false,
    exec: true,
    label: `volume ${destination}`,
    ...changes,
  }
}

function render(changes: Partial<SpecInput> = {}) {
  return renderSpec(aSpecInput(changes))
}

describe('renderSpec', () => {
  test('renders an ordinary container', () => {
    const { spec, warnings } = render({
      config: aConfig({
        env: ['A=1'],
        workingDir: '/srv',
        labels: { maintainer: 'me' },
        stopSignal: 'SIGINT',
      }),
      identity: { uid: 2000, gid: 2000, additionalGids: [2000, 4], home: '/home/app', name: 'app' },
      mounts: [volume('/data')],
      limits: {
        memoryBytes: 1 << 30,
        memoryReservationBytes: 1 << 29,
        cpuQuotaUs: 50_000,
        cpuShares: 512,
        pids: 100,
      },
      cgroupsPath: '/fairlead/x',
    })
    const { seccomp, ...linux } = spec.linux
    expect(warnings).toEqual([])
    expect(seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO')
    expect({ ...spec, linux }).toMatchInlineSnapshot(`
      {
        "annotations": {
          "maintainer": "me",
          "org.opencontainers.image.architecture": "amd64",
          "org.opencontainers.image.os": "linux",
          "org.opencontainers.image.stopSignal": "SIGINT",
        },
        "hostname": "app",
        "linux": {
          "cgroupsPath": "/fairlead/x",
          "maskedPaths": [
            "/proc/acpi",
            "/proc/asound",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/sys/devices/virtual/powercap",
            "/sys/firmware",
          ],
          "namespaces": [
            {
              "type": "pid",
            },
            {
              "type": "ipc",
            },
            {
              "type": "uts",
            },
            {
              "type": "mount",
            },
          ],
          "readonlyPaths": [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
          ],
          "resources": {
            "cpu": {
              "period": 100000,
              "quota": 50000,
              "shares": 512,
            },
            "devices": [
              {
                "access": "rwm",
                "allow": false,
              },
              {
                "access": "m",
                "allow": true,
                "type": "c",
              },
              {
                "access": "m",
                "allow": true,
                "type": "b",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 1,
                "minor": 3,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 1,
                "minor": 5,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 1,
                "minor": 7,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 1,
                "minor": 8,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 1,
                "minor": 9,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 5,
                "minor": 0,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 5,
                "minor": 2,
                "type": "c",
              },
              {
                "access": "rwm",
                "allow": true,
                "major": 136,
                "type": "c",
              },
            ],
            "memory": {
              "limit": 1073741824,
              "reservation": 536870912,
              "swap": 1073741824,
            },
            "pids": {
              "limit": 100,
            },
          },
          "rootfsPropagation": "rprivate",
        },
        "mounts": [
          {
            "destination": "/proc",
            "options": [
              "nosuid",
              "noexec",
              "nodev",
            ],
            "source": "proc",
            "type": "proc",
          },
          {
            "destination": "/dev",
            "options": [
              "nosuid",
              "strictatime",
              "mode=755",
              "size=65536k",
            ],
            "source": "tmpfs",
            "type": "tmpfs",
          },
          {
            "destination": "/sys",
            "options": [
              "nosuid",
              "noexec",
              "nodev",
              "ro",
            ],
            "source": "sysfs",
            "type": "sysfs",
          },
          {
            "destination": "/data",
            "options": [
              "rbind",
              "rw",
              "rprivate",
              "nosuid",
              "nodev",
              "exec",
            ],
            "source": "/state/data",
            "type": "bind",
          },
          {
            "destination": "/dev/pts",
            "options": [
              "nosuid",
              "noexec",
              "newinstance",
              "ptmxmode=0666",
              "mode=0620",
              "gid=5",
            ],
            "source": "devpts",
            "type": "devpts",
          },
          {
            "destination": "/dev/shm",
            "options": [
              "nosuid",
              "noexec",
              "nodev",
              "mode=1777",
              "size=65536k",
            ],
            "source": "shm",
            "type": "tmpfs",
          },
          {
            "destination": "/dev/mqueue",
            "options": [
              "nosuid",
              "noexec",
              "nodev",
            ],
            "source": "mqueue",
            "type": "mqueue",
          },
          {
            "destination": "/sys/fs/cgroup",
            "options": [
              "nosuid",
              "noexec",
              "nodev",
              "relatime",
              "ro",
            ],
            "source": "cgroup",
            "type": "cgroup",
          },
        ],
        "ociVersion": "1.0.2",
        "process": {
          "args": [
            "/app",
            "serve",
          ],
          "capabilities": {
            "bounding": [
              "CAP_CHOWN",
              "CAP_DAC_OVERRIDE",
              "CAP_FOWNER",
              "CAP_FSETID",
              "CAP_KILL",
              "CAP_SETGID",
              "CAP_SETUID",
              "CAP_SETPCAP",
              "CAP_NET_BIND_SERVICE",
              "CAP_NET_RAW",
              "CAP_SYS_CHROOT",
              "CAP_MKNOD",
              "CAP_AUDIT_WRITE",
              "CAP_SETFCAP",
            ],
            "effective": [
              "CAP_CHOWN",
              "CAP_DAC_OVERRIDE",
              "CAP_FOWNER",
              "CAP_FSETID",
              "CAP_KILL",
              "CAP_SETGID",
              "CAP_SETUID",
              "CAP_SETPCAP",
              "CAP_NET_BIND_SERVICE",
              "CAP_NET_RAW",
              "CAP_SYS_CHROOT",
              "CAP_MKNOD",
              "CAP_AUDIT_WRITE",
              "CAP_SETFCAP",
            ],
            "permitted": [
              "CAP_CHOWN",
              "CAP_DAC_OVERRIDE",
              "CAP_FOWNER",
              "CAP_FSETID",
              "CAP_KILL",
              "CAP_SETGID",
              "CAP_SETUID",
              "CAP_SETPCAP",
              "CAP_NET_BIND_SERVICE",
              "CAP_NET_RAW",
              "CAP_SYS_CHROOT",
              "CAP_MKNOD",
              "CAP_AUDIT_WRITE",
              "CAP_SETFCAP",
            ],
          },
          "cwd": "/srv",
          "env": [
            "A=1",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/home/app",
            "HOSTNAME=app",
          ],
          "noNewPrivileges": true,
          "rlimits": [
            {
              "hard": 524288,
              "soft": 1024,
              "type": "RLIMIT_NOFILE",
            },
          ],
          "terminal": false,
          "user": {
            "additionalGids": [
              2000,
              4,
            ],
            "gid": 2000,
            "uid": 2000,
            "umask": 18,
          },
        },
        "root": {
          "path": "rootfs",
          "readonly": false,
        },
      }
    `)
  })

  test('gives equal text for equal input, and leaves the input alone', () => {
    const labels = { b: '2', a: '1' }
    const input = aSpecInput({ config: aConfig({ labels }), mounts: [volume('/a/b'), volume('/a')] })
    const before = structuredClone(input)
    const text = JSON.stringify(renderSpec(input))
    expect(
      JSON.stringify(
        renderSpec(
          aSpecInput({
            config: aConfig({ labels: { a: '1', b: '2' } }),
            mounts: [volume('/a/b'), volume('/a')],
          }),
        ),
      ),
    ).toBe(text)
    expect(input).toEqual(before)
  })

  test('leaves out what does not apply', () => {
    const text = JSON.stringify(render().spec)
    for (const absent of [
      '"hooks"',
      '"memory"',
      '"cpu"',
      '"cgroupsPath"',
      '"sysctl"',
      '"additionalGids"',
      'null',
      'inheritable',
      'ambient',
    ]) {
      expect(text).not.toContain(absent)
    }
  })

  test.each<[string, Partial<SpecInput>, readonly string[]]>([
    ['host network on cgroup v1', {}, ['pid', 'ipc', 'uts', 'mount']],
    ['a private network', { network: 'private' }, ['pid', 'ipc', 'uts', 'mount', 'network']],
    [
      'cgroup v2',
      { host: { ...aSpecInput().host, cgroups: 'v2' } },
      ['pid', 'ipc', 'uts', 'mount', 'cgroup'],
    ],
    [
      'a hybrid hierarchy',
      { host: { ...aSpecInput().host, cgroups: 'hybrid' } },
      ['pid', 'ipc', 'uts', 'mount'],
    ],
  ])('makes the namespaces for %s', (_, changes, expected) => {
    expect(render(changes).spec.linux.namespaces.map((each) => each.type)).toEqual(expected)
  })

  test('sets sysctls only in a network of its own', () => {
    expect(render({ network: 'private' }).spec.linux.sysctl).toEqual({
      'net.ipv4.ip_unprivileged_port_start': '0',
      'net.ipv4.ping_group_range': '0 2147483647',
    })
    expect(render().spec.linux.sysctl).toBeUndefined()
  })

  test('allows no swap beyond the memory limit, and a reservation without one', () => {
    const limits = { ...aSpecInput().limits, memoryBytes: 4096 }
    expect(render({ limits }).spec.linux.resources.memory).toEqual({ limit: 4096, swap: 4096 })
    const reserved = { ...aSpecInput().limits, memoryReservationBytes: 4096 }
    expect(render({ limits: reserved }).spec.linux.resources.memory).toEqual({ reservation: 4096 })
  })

  test('clamps open files to what the host allows, and says so', () => {
    const host = { ...aSpecInput().host, nofileHard: 500 }
    const { spec, warnings } = render({ host })
    expect(spec.process.rlimits).toEqual([{ type: 'RLIMIT_NOFILE', hard: 500, soft: 500 }])
    expect(warnings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        reason: 'LimitUnsupported',
        message: expect.stringContaining('500 instead of 1024'),
      }),
    ])
  })

  test('puts hooks in by stage and leaves empty stages out', () => {
    const hook = { path: '/h', args: ['/h'], env: ['PATH=/bin'], timeout: 5 }
    expect(render({ hooks: { startContainer: [hook], poststop: [] } }).spec.hooks).toEqual({
      startContainer: [hook],
    })
  })

  test.each<[string, Partial<SpecInput>, string]>([
    ['a relative working directory', { process: aWish({ workingDir: 'x' }) }, 'WorkingDirInvalid'],
    [
      'a working directory in /proc',
      { config: aConfig({ workingDir: '/proc/self/fd/7' }) },
      'WorkingDirInvalid',
    ],
    ['no command', { config: aConfig({ entrypoint: [], cmd: [] }) }, 'CommandMissing'],
    ['an unknown capability', { security: aSecurity({ capabilitiesAdd: ['SYS_ADMNI'] }) }, 'InvalidSpec'],
    ['two mounts at one place', { mounts: [volume('/a'), volume('/a')] }, 'MountConflict'],
  ])('refuses %s', (_, changes, reason) => {
    expect(() => render(changes)).toThrow(expect.objectContaining({ reason }))
  })
})

function caps(changes: Parameters<typeof aSecurity>[0]): readonly string[] {
  return render({ security: aSecurity(changes) }).spec.process.capabilities.bounding
}

describe('security', () => {
  test('gives the same capabilities in three sets', () => {
    const { capabilities } = render().spec.process
    expect(capabilities.bounding).toHaveLength(14)
    expect(capabilities.effective).toEqual(capabilities.bounding)
    expect(capabilities.permitted).toEqual(capabilities.bounding)
    expect(Object.keys(capabilities)).toEqual(['bounding', 'effective', 'permitted'])
  })

  test.each([
    ['drops all', { capabilitiesDrop: ['ALL'] }, []],
    [
      'adds after dropping all',
      { capabilitiesDrop: ['all'], capabilitiesAdd: ['NET_BIND_SERVICE', 'CAP_CHOWN'] },
      ['CAP_CHOWN', 'CAP_NET_BIND_SERVICE'],
    ],
    [
      'lets a single drop win over a single add',
      { capabilitiesDrop: ['ALL', 'KILL'], capabilitiesAdd: ['KILL'] },
      [],
    ],
  ])('%s', (_, wish, expected) => {
    expect(caps(wish)).toEqual(expected)
  })

  test('adds all, less what is dropped', () => {
    expect(caps({ capabilitiesAdd: ['ALL'] })).toHaveLength(41)
    expect(caps({ capabilitiesAdd: ['ALL'], capabilitiesDrop: ['SYS_ADMIN'] })).toHaveLength(40)
    expect(caps({ capabilitiesDrop: ['MKNOD'] })).not.toContain('CAP_MKNOD')
  })

  test('gives no capability that the engine lacks, and names it', () => {
    const host = { ...aSpecInput().host, capabilities: parseCapabilitySet('000001fffeffffff') }
    const { spec, warnings } = render({
      host,
      security: aSecurity({ capabilitiesAdd: ['SYS_RESOURCE', 'SYS_TIME'] }),
    })
    expect(spec.process.capabilities.bounding).toHaveLength(15)
    expect(spec.process.capabilities.bounding).toContain('CAP_SYS_TIME')
    expect(warnings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        reason: 'LimitUnsupported',
        message: expect.stringContaining('without CAP_SYS_RESOURCE,'),
      }),
    ])
    expect(render({ host }).warnings).toEqual([])
  })

  test.each([
    ['0000000000000000', []],
    ['0000000000000021', ['CAP_CHOWN', 'CAP_KILL']],
    ['0000010000000000', ['CAP_CHECKPOINT_RESTORE']],
    ['8000000000000000', []],
    ['', []],
    ['junk', []],
  ])('reads the set "%s"', (hex, expected) => {
    expect(parseCapabilitySet(hex)).toEqual(expected)
  })

  test('names the field of an unknown capability', () => {
    expect(() => caps({ capabilitiesDrop: ['KILL', 'NOPE\u001b'] })).toThrow(
      expect.objectContaining({
        path: 'spec.securityContext.capabilities.drop[1]',
        message: expect.stringContaining('"NOPE\\u001b" is not a Linux capability'),
      }),
    )
  })

  test.each<[string, Parameters<typeof aSecurity>[0], boolean]>([
    ['set by default', {}, true],
    ['off when escalation is allowed', { allowPrivilegeEscalation: true }, false],
    ['off for a privileged container', { privileged: true }, false],
  ])('has noNewPrivileges %s', (_, wish, expected) => {
    expect(render({ security: aSecurity(wish) }).spec.process.noNewPrivileges).toBe(expected)
  })

  test('confines nothing in a privileged container, and says what it still lacks', () => {
    const { spec, warnings } = render({
      security: aSecurity({ privileged: true, capabilitiesDrop: ['ALL'] }),
    })
    expect(spec.process.capabilities.effective).toHaveLength(41)
    expect(spec.linux.seccomp).toBeUndefined()
    expect(spec.linux.maskedPaths).toEqual([])
    expect(spec.linux.readonlyPaths).toEqual([])
    expect(spec.linux.resources.devices).toEqual([{ allow: true, access: 'rwm' }])
    expect(spec.mounts.find((mount) => mount.destination === '/sys')?.options).toContain('rw')
    expect(spec.mounts.find((mount) => mount.destination === '/sys/fs/cgroup')?.options).toContain('rw')
    expect(warnings).toEqual([
      expect.objectContaining({ reason: 'UnsupportedField', path: 'spec.securityContext.privileged' }),
    ])
  })

  test('denies every device first', () => {
    const { devices } = render().spec.linux.resources
    expect(devices[0]).toEqual({ allow: false, access: 'rwm' })
    expect(
      devices
        .filter((rule) => rule.allow && rule.access === 'rwm')
        .every((rule) => rule.type === 'c' && rule.major !== undefined),
    ).toBe(true)
    expect(devices.slice(1).every((rule) => rule.allow)).toBe(true)
  })

  test('masks the thermal counters of each CPU', () => {
    const host = { ...aSpecInput().host, cpus: 2 }
    const { maskedPaths } = render({ host }).spec.linux
    expect(maskedPaths.filter((path) => path.includes('thermal'))).toEqual([
      '/sys/devices/system/cpu/cpu0/thermal_throttle',
      '/sys/devices/system/cpu/cpu1/thermal_throttle',
    ])
  })

  test('has no filter when the user wants none', () => {
    expect(render({ security: aSecurity({ seccomp: 'Unconfined' }) }).spec.linux.seccomp).toBeUndefined()
  })
})

function destinations(changes: Partial<SpecInput>): readonly string[] {
  return render(changes).spec.mounts.map((mount) => mount.destination)
}

describe('mounts', () => {
  test('come with parents before children, each depth in the order given', () => {
    expect(
      destinations({
        mounts: [volume('/a/b/c'), volume('/z'), volume('/a/b'), volume('/a')],
        engineFiles: [volume('/etc/hosts')],
      }),
    ).toEqual([
      '/proc',
      '/dev',
      '/sys',
      '/z',
      '/a',
      '/dev/pts',
      '/dev/shm',
      '/dev/mqueue',
      '/etc/hosts',
      '/a/b',
      '/sys/fs/cgroup',
      '/a/b/c',
    ])
  })

  test('leave mqueue out where the kernel has none', () => {
    expect(destinations({ host: { ...aSpecInput().host, filesystems: ['proc'] } })).not.toContain(
      '/dev/mqueue',
    )
  })

  test('never make a volume noexec unless the user said so', () => {
    const { mounts } = render({
      mounts: [volume('/a'), volume('/b', { exec: false }), volume('/c', { readOnly: true })],
    }).spec
    const options = (destination: string) =>
      mounts.find((mount) => mount.destination === destination)?.options
    expect(options('/a')).toEqual(['rbind', 'rw', 'rprivate', 'nosuid', 'nodev', 'exec'])
    expect(options('/b')).toEqual(['rbind', 'rw', 'rprivate', 'nosuid', 'nodev', 'noexec'])
    expect(options('/c')).toEqual(['rbind', 'ro', 'rprivate', 'nosuid', 'nodev', 'exec'])
  })

  test('let a volume take the place of /dev/shm', () => {
    const { mounts } = render({ mounts: [volume('/dev/shm')] }).spec
    expect(mounts.filter((mount) => mount.destination === '/dev/shm')).toEqual([
      expect.objectContaining({ type: 'bind' }),
    ])
  })

  test.each([
    ['the root', '/', /hide the whole image/],
    ['/proc', '/proc', /belongs to the kernel/],
    ['below /sys', '/sys/fs', /belongs to the kernel/],
    ['/dev', '/dev', /device nodes/],
    ['a relative path', 'data', /must be absolute/],
    ['a path with ..', '/a/../b', /must be absolute/],
    ['a final slash', '/a/', /must be absolute/],
  ])('refuse %s', (_, destination, message) => {
    expect(() => render({ mounts: [volume(destination)] })).toThrow(
      expect.objectContaining({ reason: 'MountConflict', message: expect.stringMatching(message) }),
    )
  })

  test('name both that want one place', () => {
    expect(() =>
      render({
        mounts: [volume('/etc/hosts')],
        engineFiles: [volume('/etc/hosts', { label: 'the hosts file' })],
      }),
    ).toThrow('volume /etc/hosts and the hosts file both want /etc/hosts')
  })
})

function annotations(config: Parameters<typeof aConfig>[0], own: Readonly<Record<string, string>> = {}) {
  return render({ config: aConfig(config), annotations: own })
}

describe('annotations', () => {
  test('carry what conversion.md asks for, labels over implicit ones, ours over all', () => {
    const { spec } = annotations(
      {
        platform: { os: 'linux', architecture: 'arm64', variant: 'v8', osVersion: '1' },
        author: 'me',
        created: '2020-01-01T00:00:00Z',
        stopSignal: 'SIGRTMIN+3',
        exposedPorts: ['8080/tcp', '53/udp'],
        labels: { 'org.opencontainers.image.author': 'label', mine: 'label' },
      },
      { mine: 'ours' },
    )
    expect(spec.annotations).toEqual({
      mine: 'ours',
      'org.opencontainers.image.architecture': 'arm64',
      'org.opencontainers.image.author': 'label',
      'org.opencontainers.image.created': '2020-01-01T00:00:00Z',
      'org.opencontainers.image.exposedPorts': '53/udp,8080/tcp',
      'org.opencontainers.image.os': 'linux',
      'org.opencontainers.image.os.version': '1',
      'org.opencontainers.image.stopSignal': 'SIGRTMIN+3',
      'org.opencontainers.image.variant': 'v8',
    })
  })

  test.each([
    ['bundle'],
    ['org.systemd.property.CPUQuota'],
    ['org.criu.config'],
    ['run.oci.hooks.stdout'],
    ['run.oci.anything'],
    ['krun.vm'],
    ['module.wasm.image/variant'],
    ['io.kubernetes.cri.container-type'],
    [''],
  ])('never come from the label "%s"', (name) => {
    const { spec, warnings } = annotations({ labels: { [name]: '/x', kept: 'yes' } })
    expect(Object.keys(spec.annotations)).not.toContain(name)
    expect(spec.annotations['kept']).toBe('yes')
    expect(warnings).toEqual([expect.objectContaining({ severity: 'warning', reason: 'LabelIgnored' })])
  })

  test.each([['bundles'], ['org.systemd.propertyx'], ['my.run.oci.hooks'], ['__proto__'], ['constructor']])(
    'keep the harmless label "%s"',
    (name) => {
      const { spec, warnings } = annotations({ labels: Object.fromEntries([[name, 'v']]) })
      expect(Object.entries(spec.annotations)).toContainEqual([name, 'v'])
      expect(warnings).toEqual([])
    },
  )

  test('keep what the engine sets, whatever its name', () => {
    expect(
      annotations({}, { 'run.oci.hooks.stderr': '/ours' }).spec.annotations['run.oci.hooks.stderr'],
    ).toBe('/ours')
  })
})
