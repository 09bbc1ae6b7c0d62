import { describe, expect, test } from 'vitest'

import { parseApp } from '../../src/crd/app.ts'
import { formatIssue } from '../../src/errors.ts'
import { anApp, DIGEST } from './an-app.ts'

/** Field and message of every issue; [] for a valid app. The input must come out as it went in. */
function issuesOf(input: unknown): readonly { path: string; message: string; reason: string }[] {
  const before = structuredClone(input)
  const parsed = parseApp(input, '')
  expect(input).toEqual(before)
  return 'issues' in parsed ? parsed.issues : []
}

/** One row: what is laid over a valid spec, the field that must be named, a part of the sentence. */
type Row = readonly [title: string, spec: Readonly<Record<string, unknown>>, path: string, says: string]

function refuses(rows: readonly Row[]): void {
  test.each(rows)('refuses %s', (_title, spec, path, says) => {
    const issues = issuesOf(anApp(spec))
    expect(issues.map((issue) => issue.path)).toEqual([path])
    expect(issues[0]?.message).toContain(says)
  })
}

function accepts(rows: readonly (readonly [title: string, spec: Readonly<Record<string, unknown>>])[]): void {
  test.each(rows)('accepts %s', (_title, spec) => {
    expect(issuesOf(anApp(spec))).toEqual([])
  })
}

const one = (volume: unknown) => ({ volumes: [volume] })
const liveness = (probe: unknown, more: object = {}) => ({ ...more, probes: { liveness: probe } })

describe('the envelope', () => {
  test.each([
    ['text', 'hello', [''], 'must be a ContainerApp object'],
    ['a list', [], [''], 'found a list'],
    ['null', null, [''], 'null'],
    ['an empty object', {}, ['apiVersion', 'kind', 'metadata', 'spec'], 'is missing'],
    [
      'an old version',
      anApp({}, { apiVersion: 'fairlead.dev/v1' }),
      ['apiVersion'],
      'did you mean fairlead.dev/v1alpha1?',
    ],
    ['another kind', anApp({}, { kind: 'Containerapp' }), ['kind'], 'did you mean ContainerApp?'],
    ['an unknown member', anApp({}, { sepc: {} }), ['sepc'], 'did you mean spec?'],
    ['no name', anApp({}, { metadata: {} }), ['metadata.name'], 'is missing'],
    ['an upper-case name', anApp({}, { metadata: { name: 'App' } }), ['metadata.name'], 'lower-case'],
    [
      'a name that begins with a digit',
      anApp({}, { metadata: { name: '1app' } }),
      ['metadata.name'],
      'starting with a letter',
    ],
    ['a name that ends with a dash', anApp({}, { metadata: { name: 'a-' } }), ['metadata.name'], 'DNS label'],
    [
      'a name with a line end',
      anApp({}, { metadata: { name: 'a\n' } }),
      ['metadata.name'],
      String.raw`"a\u000a"`,
    ],
    [
      'a name of 64 characters',
      anApp({}, { metadata: { name: 'a'.repeat(64) } }),
      ['metadata.name'],
      'found 64 characters; must be at most 63',
    ],
    [
      'a namespace with a dot',
      anApp({}, { metadata: { name: 'a', namespace: 'a.b' } }),
      ['metadata.namespace'],
      'DNS label',
    ],
    [
      'a label that is a number',
      anApp({}, { metadata: { name: 'a', labels: { v: 1 } } }),
      ['metadata.labels.v'],
      'in quotes, "1"',
    ],
    [
      'a rollback to no digest',
      anApp({}, { metadata: { name: 'a', annotations: { 'fairlead.dev/rollback-to': 'v1' } } }),
      ['metadata.annotations["fairlead.dev/rollback-to"]'],
      'must be a digest',
    ],
  ])('refuses %s', (_title, input, paths, says) => {
    const issues = issuesOf(input)
    expect(issues.map((issue) => issue.path)).toEqual(paths)
    expect(issues[0]?.message).toContain(says)
  })

  test.each([
    ['where they help', { labels: { v: 12 } }, true],
    ['not where the text would be refused, too', { name: 12 }, false],
  ])('proposes quotes %s', (_title, metadata, isProposed) => {
    const [issue] = issuesOf(anApp({}, { metadata: { name: 'a', ...metadata } }))
    expect(issue?.message).toMatch(
      isProposed ? /in quotes, "12"$/ : /^found the number 12; .* such as my-app$/,
    )
  })

  test('takes over what a server keeps in metadata', () => {
    const metadata = {
      name: 'a',
      namespace: 'b',
      uid: 'u',
      generation: 4,
      managedFields: [{ manager: 'x' }],
      finalizers: ['f'],
    }
    expect(parseApp(anApp({}, { metadata }), '')).toMatchObject({ app: { metadata } })
  })

  test('fills in only the namespace', () => {
    const spec = { image: 'a', volumes: [{ path: '/data/' }], ports: [{ port: 80 }], hooks: [{ path: '/h' }] }
    const parsed = parseApp(
      { apiVersion: 'fairlead.dev/v1alpha1', kind: 'ContainerApp', metadata: { name: 'a' }, spec },
      '',
      'team',
    )
    expect(parsed).toEqual({
      app: {
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { name: 'a', namespace: 'team' },
        spec,
      },
    })
  })

  test('keeps the image byte for byte', () => {
    const image = ' Docker.IO/x/./y:1.0@sha256:zz é\u0301 '
    expect(parseApp(anApp({ image }), '')).toMatchObject({ app: { spec: { image } } })
  })

  test('gives an app that later changes of the input do not reach', () => {
    const spec = { image: 'a', podTemplate: { spec: { tolerations: [{ key: 'a' }] } } }
    const parsed = parseApp(anApp(spec), '')
    spec.podTemplate.spec.tolerations.push({ key: 'b' })
    expect(parsed).toMatchObject({
      app: { spec: { podTemplate: { spec: { tolerations: [{ key: 'a' }] } } } },
    })
  })
})

describe('the image', () => {
  refuses([
    ['no image', { image: undefined }, 'spec.image', 'is missing'],
    ['an empty image', { image: '' }, 'spec.image', 'not empty'],
    ['an image that is a number', { image: 1 }, 'spec.image', 'write it in quotes, "1"'],
    [
      'Never without a digest',
      { imagePolicy: { resolve: 'Never' } },
      'spec.image',
      'imagePolicy.resolve is Never',
    ],
    [
      'Never with half a digest',
      { image: 'a@sha256:abc', imagePolicy: { resolve: 'Never' } },
      'spec.image',
      '64',
    ],
    [
      'an unknown policy',
      { imagePolicy: { resolve: 'always' } },
      'spec.imagePolicy.resolve',
      'OnImageChange, Interval, Never',
    ],
    [
      'an interval without Interval',
      { imagePolicy: { interval: '1h' } },
      'spec.imagePolicy.interval',
      'resolve: Interval',
    ],
    [
      'a short interval',
      { imagePolicy: { resolve: 'Interval', interval: '59s' } },
      'spec.imagePolicy.interval',
      'at least 1m',
    ],
    [
      'an interval in days',
      { imagePolicy: { resolve: 'Interval', interval: '1d' } },
      'spec.imagePolicy.interval',
      'such as 1h30m',
    ],
    [
      'a platform without architecture',
      { imagePolicy: { platform: 'linux' } },
      'spec.imagePolicy.platform',
      'linux/amd64',
    ],
    [
      'a pull secret that is text',
      { pullSecrets: ['regcred'] },
      'spec.pullSecrets[0]',
      'an object with name',
    ],
    [
      'a pull secret twice',
      { pullSecrets: [{ name: 'a' }, { name: 'a' }] },
      'spec.pullSecrets[1].name',
      'pullSecrets[0]',
    ],
  ])
  accepts([
    ['Never with a digest', { image: `a@${DIGEST}`, imagePolicy: { resolve: 'Never' } }],
    ['an interval', { imagePolicy: { resolve: 'Interval', interval: '12h' } }],
    ['a platform with a variant', { imagePolicy: { platform: 'linux/arm64/v8' } }],
  ])
  test('asks for a digest with its own reason', () => {
    expect(issuesOf(anApp({ imagePolicy: { resolve: 'Never' } }))).toMatchObject([
      { reason: 'DigestRequired' },
    ])
  })
})

describe('volumes', () => {
  refuses([
    ['a map', { volumes: { '/data': {} } }, 'spec.volumes', 'must be a list'],
    ['text', { volumes: ['/data'] }, 'spec.volumes[0]', 'an object with path'],
    ['no path', one({}), 'spec.volumes[0].path', 'is missing'],
    ['a relative path', one({ path: 'data' }), 'spec.volumes[0].path', 'absolute'],
    ['the root', one({ path: '/' }), 'spec.volumes[0].path', 'root'],
    ['the root in disguise', one({ path: '/a/..' }), 'spec.volumes[0].path', 'root'],
    ['a path below /proc', one({ path: '/proc/1' }), 'spec.volumes[0].path', '/proc'],
    ['a path with NUL', one({ path: '/a\0' }), 'spec.volumes[0].path', 'NUL'],
    [
      'a path of 1025 characters',
      one({ path: `/${'a'.repeat(1024)}` }),
      'spec.volumes[0].path',
      'at most 1024 characters',
    ],
    [
      'the same path twice',
      { volumes: [{ path: '/a' }, { path: '/a' }] },
      'spec.volumes[1].path',
      'spec.volumes[0], "/a"',
    ],
    [
      '/a and /a/',
      { volumes: [{ path: '/a' }, { path: '/b' }, { path: '/a/' }] },
      'spec.volumes[2].path',
      'spec.volumes[0]',
    ],
    [
      '/b and /a/../b',
      { volumes: [{ path: '/b' }, { path: '/a/../b' }] },
      'spec.volumes[1].path',
      'same path',
    ],
    [
      '65 volumes',
      { volumes: Array.from({ length: 65 }, (_, i) => ({ path: `/v${i}` })) },
      'spec.volumes',
      'found 65 items; must be at most 64',
    ],
    [
      'a wrong size',
      one({ path: '/a', size: '5GB' }),
      'spec.volumes[0].size',
      'found "5GB"; must be a quantity such as 5Gi',
    ],
    [
      'a size with a fraction as a number',
      one({ path: '/a', size: 1.5 }),
      'spec.volumes[0].size',
      'needs quotes',
    ],
    ['a size of nothing', one({ path: '/a', size: 0 }), 'spec.volumes[0].size', 'more than zero'],
    ['a size in milli', one({ path: '/a', size: '512m' }), 'spec.volumes[0].size', 'did you mean "512Mi"?'],
    ['a size beyond 63 bits', one({ path: '/a', size: '9Ei' }), 'spec.volumes[0].size', 'less than 8Ei'],
    [
      'an unknown exec',
      one({ path: '/a', exec: 'required' }),
      'spec.volumes[0].exec',
      'did you mean Required?',
    ],
    [
      'an unknown field',
      one({ path: '/a', mountPath: '/a' }),
      'spec.volumes[0].mountPath',
      'did you mean path?',
    ],
    ['a source of nothing', one({ path: '/a', source: {} }), 'spec.volumes[0].source', 'none of them'],
    [
      'a source of two kinds',
      one({ path: '/a', source: { claimName: 'a', secret: { secretName: 'b' } } }),
      'spec.volumes[0].source',
      'claimName and secret are',
    ],
    [
      'a source with a size',
      one({ path: '/a', size: '1Gi', source: { claimName: 'a' } }),
      'spec.volumes[0].size',
      'source',
    ],
    [
      'a source with retain',
      one({ path: '/a', retain: 'Delete', source: { hostPath: { path: '/x' } } }),
      'spec.volumes[0].retain',
      'source',
    ],
    [
      'a seeded secret',
      one({ path: '/a', seed: 'IfEmpty', source: { secret: { secretName: 'a' } } }),
      'spec.volumes[0].seed',
      'source',
    ],
    [
      'a writable config map',
      one({ path: '/a', readOnly: false, source: { configMap: { name: 'a' } } }),
      'spec.volumes[0].readOnly',
      'always read-only',
    ],
    [
      'a relative host path',
      one({ path: '/a', source: { hostPath: { path: 'x' } } }),
      'spec.volumes[0].source.hostPath.path',
      'absolute',
    ],
    [
      'a subPath that climbs',
      one({ path: '/a', source: { claimName: 'a', subPath: 'x/../../y' } }),
      'spec.volumes[0].source.subPath',
      '".."',
    ],
    [
      'an absolute subPath',
      one({ path: '/a', source: { claimName: 'a', subPath: '/x' } }),
      'spec.volumes[0].source.subPath',
      'relative',
    ],
    [
      'a mode in decimal by mistake',
      one({ path: '/a', source: { secret: { secretName: 'a', defaultMode: 644 } } }),
      'spec.volumes[0].source.secret.defaultMode',
      'at most 511',
    ],
    ['memory without a size', one({ path: '/a', medium: 'Memory' }), 'spec.volumes[0].size', 'needs a limit'],
    [
      'memory with a class',
      one({ path: '/a', size: '1Mi', medium: 'Memory', storageClassName: 'x' }),
      'spec.volumes[0].storageClassName',
      'Memory',
    ],
    [
      'memory that is retained',
      one({ path: '/a', size: '1Mi', medium: 'Memory', retain: 'Retain' }),
      'spec.volumes[0].retain',
      'Memory',
    ],
    [
      'memory with a source',
      one({ path: '/a', medium: 'Memory', source: { claimName: 'a' } }),
      'spec.volumes[0].source',
      'Memory',
    ],
    [
      'a class under a default of memory',
      { volumes: [{ path: '/a', storageClassName: 'x' }], volumeDefaults: { medium: 'Memory', size: '1Mi' } },
      'spec.volumes[0].storageClassName',
      'from volumeDefaults',
    ],
    [
      'memory without a size as the default',
      { volumeDefaults: { medium: 'Memory' } },
      'spec.volumeDefaults.size',
      'needs a limit',
    ],
    [
      'a layout of claims in memory',
      { volumeDefaults: { medium: 'Memory', size: 1, layout: 'OneClaim' } },
      'spec.volumeDefaults.layout',
      'Memory',
    ],
    [
      'a size by path in one claim',
      { volumes: [{ path: '/a', size: '1Gi' }], volumeDefaults: { layout: 'OneClaim' } },
      'spec.volumes[0].size',
      'volumeDefaults',
    ],
    [
      'a source for every volume',
      { volumeDefaults: { source: { claimName: 'a' } } },
      'spec.volumeDefaults.source',
      'unknown field',
    ],
    ['no access mode', one({ path: '/a', accessModes: [] }), 'spec.volumes[0].accessModes', 'not empty'],
    [
      'two writers of one volume',
      { replicas: 2, volumes: [{ path: '/a' }] },
      'spec.replicas',
      'spec.volumes[0] is for one writer',
    ],
    [
      'two writers of a volume that only one pod may have',
      {
        replicas: 2,
        volumeDefaults: { accessModes: ['ReadWriteMany'] },
        volumes: [{ path: '/a', accessModes: ['ReadWriteOncePod'] }],
      },
      'spec.replicas',
      'one writer',
    ],
  ])
  accepts([
    [
      'every field',
      one({
        path: '/a',
        size: '5Gi',
        storageClassName: '',
        accessModes: ['ReadWriteOnce'],
        exec: 'Any',
        seed: 'Never',
        retain: 'Delete',
        medium: 'Disk',
        readOnly: true,
        dataSourceRef: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' },
      }),
    ],
    ['a size as a number', one({ path: '/a', size: 1_000_000 })],
    ['a nested pair', { volumes: [{ path: '/a' }, { path: '/a/b' }] }],
    [
      'each kind of source',
      {
        volumes: [
          { path: '/a', source: { claimName: 'x', subPath: 'a/b' } },
          { path: '/b', source: { hostPath: { path: '/x' } } },
          { path: '/c', source: { configMap: { name: 'x', optional: true } } },
          { path: '/d', source: { secret: { secretName: 'x', defaultMode: 0o400 } }, readOnly: true },
        ],
      },
    ],
    ['memory with a limit', one({ path: '/a', medium: 'Memory', size: '64Mi' })],
    [
      'a source under a default of memory',
      {
        volumes: [{ path: '/a', source: { claimName: 'x' } }],
        volumeDefaults: { medium: 'Memory', size: '1Mi' },
      },
    ],
    [
      'one claim',
      { volumes: [{ path: '/a', exec: 'Forbidden' }], volumeDefaults: { layout: 'OneClaim', size: '9Gi' } },
    ],
    [
      'many writers of a shared volume',
      { replicas: 3, volumeDefaults: { accessModes: ['ReadWriteMany'] }, volumes: [{ path: '/a' }] },
    ],
    ['many writers of memory', { replicas: 3, volumes: [{ path: '/a', medium: 'Memory', size: '1Mi' }] }],
    ['one writer', { replicas: 1, volumes: [{ path: '/a' }] }],
  ])
})

describe('the process', () => {
  refuses([
    ['a command in one text', { command: 'sh -c true' }, 'spec.command', 'must be a list'],
    ['an argument that is a number', { args: ['--port', 8080] }, 'spec.args[1]', 'write it in quotes'],
    ['an argument with NUL', { args: ['a\0b'] }, 'spec.args[0]', 'NUL'],
    ['half a surrogate pair', { command: ['\ud800'] }, 'spec.command[0]', 'well-formed'],
    [
      'a port without quotes',
      { env: [{ name: 'PORT', value: 8080 }] },
      'spec.env[0].value',
      'found a number; must be a string: write it in quotes',
    ],
    [
      'a boolean without quotes',
      { env: [{ name: 'A', value: true }] },
      'spec.env[0].value',
      'found a boolean',
    ],
    ['env as a map', { env: { A: 'b' } }, 'spec.env', 'must be a list (in YAML each item starts with "- ")'],
    [
      'a variable twice',
      { env: [{ name: 'A' }, { name: 'B' }, { name: 'A' }] },
      'spec.env[2].name',
      '"A" is already in spec.env[0]',
    ],
    ['a name with =', { env: [{ name: 'A=b' }] }, 'spec.env[0].name', 'found "A" followed by "="'],
    [
      'two values',
      { env: [{ name: 'A', value: '', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }] },
      'spec.env[0].valueFrom',
      'excludes value',
    ],
    [
      'a value from nowhere',
      { env: [{ name: 'A', valueFrom: {} }] },
      'spec.env[0].valueFrom',
      'none of them',
    ],
    [
      'a field reference',
      { env: [{ name: 'A', valueFrom: { fieldRef: {}, secretKeyRef: { name: 'a', key: 'b' } } }] },
      'spec.env[0].valueFrom.fieldRef',
      'known here: secretKeyRef, configMapKeyRef',
    ],
    [
      'a secret key without a name',
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { key: 'b' } } }] },
      'spec.env[0].valueFrom.secretKeyRef.name',
      'is missing',
    ],
    ['envFrom of nothing', { envFrom: [{ prefix: 'A_' }] }, 'spec.envFrom[0]', 'secretRef, configMapRef'],
    ['a relative working directory', { workingDir: 'x' }, 'spec.workingDir', 'absolute'],
    ['a fraction without quotes', { image: 1.5 }, 'spec.image', ': write it in quotes'],
    ['a user without quotes', { user: 1000 }, 'spec.user', 'write it in quotes, "1000"'],
    ['a user with two groups', { user: 'a:b:c' }, 'spec.user', 'user:group'],
    ['two users', { user: 'a', securityContext: { runAsUser: 1 } }, 'spec.user', 'runAsUser'],
    ['a relative hook', { hooks: [{ path: 'hook' }] }, 'spec.hooks[0].path', 'absolute'],
    [
      'a hook of a wrong stage',
      { hooks: [{ path: '/h', stage: 'startContainer' }] },
      'spec.hooks[0].stage',
      'did you mean StartContainer?',
    ],
    [
      'a hook without time',
      { hooks: [{ path: '/h', timeoutSeconds: 0 }] },
      'spec.hooks[0].timeoutSeconds',
      'at least 1',
    ],
    [
      'a hook with a variable twice',
      { hooks: [{ path: '/h', env: [{ name: 'A' }, { name: 'A' }] }] },
      'spec.hooks[0].env[1].name',
      'spec.hooks[0].env[0]',
    ],
    [
      'a hook with a secret',
      { hooks: [{ path: '/h', env: [{ name: 'A', valueFrom: {} }] }] },
      'spec.hooks[0].env[0].valueFrom',
      'unknown field',
    ],
    [
      'root that must not be root',
      { securityContext: { runAsUser: 0, runAsNonRoot: true } },
      'spec.securityContext.runAsNonRoot',
      'runAsUser: 0',
    ],
    [
      'user 0 that must not be root',
      { user: '0:0', securityContext: { runAsNonRoot: true } },
      'spec.securityContext.runAsNonRoot',
      'spec.user',
    ],
    [
      'privileged without escalation',
      { securityContext: { privileged: true, allowPrivilegeEscalation: false } },
      'spec.securityContext.allowPrivilegeEscalation',
      'privileged',
    ],
    [
      'a capability with CAP_',
      { securityContext: { capabilities: { add: ['CAP_CHOWN'] } } },
      'spec.securityContext.capabilities.add[0]',
      'without the prefix CAP_',
    ],
    [
      'a capability added and dropped',
      { securityContext: { capabilities: { add: ['CHOWN'], drop: ['CHOWN'] } } },
      'spec.securityContext.capabilities.add[0]',
      'drop',
    ],
    [
      'a local seccomp profile',
      { securityContext: { seccompProfile: { type: 'Localhost' } } },
      'spec.securityContext.seccompProfile.type',
      'RuntimeDefault, Unconfined',
    ],
  ])
  accepts([
    [
      'everything',
      {
        command: ['/bin/sh'],
        args: ['-c', ''],
        workingDir: '/',
        user: 'app:app',
        terminationGracePeriodSeconds: 0,
        suspend: true,
        replicas: 0,
      },
    ],
    [
      'both kinds of references',
      {
        env: [
          { name: 'A' },
          { name: 'B', value: '' },
          { name: 'C', valueFrom: { configMapKeyRef: { name: 'a', key: 'b', optional: true } } },
        ],
        envFrom: [
          { prefix: 'X_', secretRef: { name: 's' } },
          { configMapRef: { name: 'c', optional: false } },
        ],
      },
    ],
    [
      'hooks',
      {
        hooks: [
          {
            path: '/h',
            stage: 'Poststop',
            args: ['a'],
            env: [{ name: 'A', value: 'b' }],
            timeoutSeconds: 30,
          },
        ],
      },
    ],
    [
      'capabilities',
      {
        securityContext: { capabilities: { add: ['NET_BIND_SERVICE', 'CHECKPOINT_RESTORE'], drop: ['ALL'] } },
      },
    ],
    ['ids', { securityContext: { runAsUser: 0, runAsGroup: 1, fsGroup: 2, supplementalGroups: [3, 4] } }],
  ])
})

describe('network, resources and probes', () => {
  refuses([
    ['port 0', { ports: [{ port: 0 }] }, 'spec.ports[0].port', 'at least 1'],
    ['port 65536', { ports: [{ port: 65_536 }] }, 'spec.ports[0].port', 'at most 65535'],
    [
      'a port as text',
      { ports: [{ port: '80' }] },
      'spec.ports[0].port',
      'found "80"; must be a whole number from 1 to 65535',
    ],
    ['half a port', { ports: [{ port: 80.5 }] }, 'spec.ports[0].port', 'whole number'],
    [
      'a name of 16 characters',
      { ports: [{ name: 'a'.repeat(16), port: 1 }] },
      'spec.ports[0].name',
      'at most 15',
    ],
    ['a name without a letter', { ports: [{ name: '80', port: 80 }] }, 'spec.ports[0].name', 'a letter'],
    ['a name with two dashes', { ports: [{ name: 'a--b', port: 80 }] }, 'spec.ports[0].name', '"--"'],
    [
      'a name twice',
      {
        ports: [
          { name: 'a', port: 1 },
          { name: 'a', port: 2 },
        ],
      },
      'spec.ports[1].name',
      'same name',
    ],
    [
      'a number twice',
      {
        ports: [
          { name: 'a', port: 1 },
          { name: 'b', port: 1, protocol: 'TCP' },
        ],
      },
      'spec.ports[1].port',
      'same port',
    ],
    [
      'a host port twice',
      {
        ports: [
          { name: 'a', port: 1, hostPort: 9 },
          { name: 'b', port: 2, hostPort: 9 },
        ],
      },
      'spec.ports[1].hostPort',
      'same hostPort',
    ],
    [
      'a second port without a name',
      { ports: [{ name: 'a', port: 1 }, { port: 2 }] },
      'spec.ports[1].name',
      'needs a name',
    ],
    ['a service without ports', { service: { type: 'NodePort' } }, 'spec.service', 'spec.ports'],
    [
      'a disabled service with a type',
      { ports: [{ port: 1 }], service: { enabled: false, type: 'NodePort' } },
      'spec.service.type',
      'enabled: false',
    ],
    [
      'a class without a load balancer',
      { ports: [{ port: 1 }], service: { loadBalancerClass: 'x' } },
      'spec.service.loadBalancerClass',
      'LoadBalancer',
    ],
    [
      'an unknown resource',
      { resources: { limits: { mem: '1Gi' } } },
      'spec.resources.limits.mem',
      'did you mean memory?',
    ],
    [
      'memory in milli',
      { resources: { limits: { memory: '512m' } } },
      'spec.resources.limits.memory',
      'did you mean "512Mi"?',
    ],
    [
      'half a core as a number',
      { resources: { limits: { cpu: 0.5 } } },
      'spec.resources.limits.cpu',
      'needs quotes',
    ],
    [
      'an unknown request',
      { resources: { requests: { cpus: 1 } } },
      'spec.resources.requests.cpus',
      'did you mean cpu?',
    ],
    [
      'a default size of nothing',
      { volumeDefaults: { size: '0Gi' } },
      'spec.volumeDefaults.size',
      'more than zero',
    ],
    [
      'a negative quantity',
      { resources: { requests: { cpu: '-1' } } },
      'spec.resources.requests.cpu',
      'a quantity',
    ],
    [
      'a request over the limit',
      { resources: { requests: { cpu: 2 }, limits: { cpu: '1999m' } } },
      'spec.resources.requests.cpu',
      'more than the limit',
    ],
    ['too many cores', { resources: { limits: { cpu: '1e30' } } }, 'spec.resources.limits.cpu', 'less than'],
    ['a probe of nothing', liveness({}), 'spec.probes.liveness', 'none of them'],
    [
      'a probe of two kinds',
      liveness({ tcpSocket: { port: 1 }, exec: { command: ['a'] } }),
      'spec.probes.liveness',
      'exec and tcpSocket are',
    ],
    [
      'a probe of a port without a name',
      liveness({ httpGet: { port: 'htp' } }, { ports: [{ name: 'http', port: 1 }] }),
      'spec.probes.liveness.httpGet.port',
      'did you mean http?',
    ],
    [
      'a probe of no port',
      liveness({ tcpSocket: { port: true } }),
      'spec.probes.liveness.tcpSocket.port',
      'a port number',
    ],
    [
      'a liveness probe that must be good twice',
      liveness({ tcpSocket: { port: 1 }, successThreshold: 2 }),
      'spec.probes.liveness.successThreshold',
      'must be 1',
    ],
    [
      'an empty command',
      liveness({ exec: { command: [] } }),
      'spec.probes.liveness.exec.command',
      'not empty',
    ],
    [
      'a pod template that forgot spec',
      { podTemplate: { affinity: {} } },
      'spec.podTemplate.affinity',
      'metadata, spec',
    ],
    ['an empty section', { resources: null }, 'spec.resources', 'remove the field'],
    ['negative replicas', { replicas: -1 }, 'spec.replicas', 'at least 0'],
    ['yes', { suspend: 'yes' }, 'spec.suspend', 'true or false'],
    ['a prototype', JSON.parse('{"__proto__": {"image": "x"}}'), 'spec.__proto__', 'unknown field'],
  ])
  accepts([
    [
      'DNS on both protocols',
      {
        ports: [
          { name: 'tcp', port: 53 },
          { name: 'udp', port: 53, protocol: 'UDP' },
        ],
      },
    ],
    [
      'one port without a name',
      {
        ports: [{ port: 80, hostPort: 8080 }],
        service: { type: 'LoadBalancer', loadBalancerClass: 'x', annotations: { 'a/b': 'c' } },
      },
    ],
    ['no service', { service: { enabled: false } }],
    [
      'resources',
      {
        resources: {
          requests: { cpu: '100m', memory: '1Gi' },
          limits: {
            cpu: 1,
            memory: '1.5Gi',
            'ephemeral-storage': '1G',
            'example.com/gpu': 1,
            'hugepages-2Mi': '4Mi',
          },
        },
      },
    ],
    [
      'probes',
      {
        ports: [{ name: 'http', port: 80 }],
        probes: {
          startup: { exec: { command: ['a'] } },
          liveness: {
            httpGet: { port: 'http', path: '/', scheme: 'HTTPS', httpHeaders: [{ name: 'A', value: 'b' }] },
          },
          readiness: { tcpSocket: { port: 80 }, successThreshold: 3 },
        },
      },
    ],
    [
      'any pod template',
      { podTemplate: { metadata: { labels: { a: 'b' } }, spec: { anything: [{ deep: 1 }] } } },
    ],
  ])
})

describe('the report', () => {
  test('has all problems at once, each with its own field', () => {
    const issues = issuesOf(
      anApp({
        imagee: 'x',
        volumes: [{ path: 'a', siz: 1 }, { path: '/proc' }],
        env: [{ name: '1' }],
        ports: [{ port: 0 }],
        replicas: 'two',
      }),
    )
    expect(issues.map((issue) => issue.path).toSorted()).toEqual([
      'spec.env[0].name',
      'spec.imagee',
      'spec.ports[0].port',
      'spec.replicas',
      'spec.volumes[0].path',
      'spec.volumes[0].siz',
      'spec.volumes[1].path',
    ])
  })

  test('names the place that it was given', () => {
    const parsed = parseApp(anApp({ replicas: -1 }), 'app.yaml:3')
    const lines = 'issues' in parsed ? parsed.issues.map(formatIssue) : []
    expect(lines).toEqual(['app.yaml:3: spec.replicas: found the number -1; must be at least 0'])
  })

  test.each([
    ['a value', { env: [{ name: 'A', value: { hunter2: 1 } }] }],
    ['a value that is too long', { env: [{ name: 'A', value: 'hunter2'.repeat(10_000) }] }],
    ['a number', { env: [{ name: 'A', value: 4_242_424_242 }] }],
    ['shell style', { env: ['A=hunter2'] }],
    ['shell style in the name', { env: [{ name: 'A=hunter2' }, { name: 'A=hunter2' }] }],
    ['shell style as a field', { env: [{ 'A=hunter2': '' }] }],
    ['an argument', { args: [4_242_424_242, 'hunter2\0'] }],
    [
      'a header',
      {
        probes: {
          liveness: { httpGet: { port: 1, httpHeaders: [{ name: 'A', value: 'hunter2'.repeat(1000) }] } },
        },
      },
    ],
    ['an annotation', { ports: [{ port: 1 }], service: { annotations: { a: 4_242_424_242 } } }],
    [
      'a hook',
      { hooks: [{ path: '/h', env: [{ name: 'A', value: 4_242_424_242 }], args: [4_242_424_242] }] },
    ],
  ])('never shows what may be secret: %s', (_title, spec) => {
    const issues = issuesOf(anApp(spec))
    expect(issues).not.toEqual([])
    expect(JSON.stringify(issues)).not.toMatch(/hunter2|4242424242/)
  })

  test('escapes and bounds what it shows', () => {
    const [issue] = issuesOf(anApp({ imagePolicy: { resolve: `\u001b[31m${'x'.repeat(5000)}` } }))
    expect(issue?.message).toContain(String.raw`\u001b`)
    expect(issue?.message.length).toBeLessThan(300)
  })

  test('stays short for a spec with thousands of problems', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}`, 1]))
    const issues = issuesOf(anApp(many))
    expect(issues).toHaveLength(101)
    expect(issues.at(-1)?.message).toBe('and 4900 more problems')
  })
})
