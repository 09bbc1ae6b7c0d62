import { describe, expect, test } from 'vitest'
import type { Issue } from '../../src/errors.ts'
import type { ImageConfig } from '../../src/image/types.ts'
import { desiredState, resourceLimits } from '../../src/reconcile/desired.ts'
import { revisionOf } from '../../src/reconcile/revision.ts'
import type { Desired } from '../../src/reconcile/types.ts'
import type { FileNode } from '../../src/rootfs/types.ts'
import { dir, file, tree } from '../bundle/tree.ts'
import { anApp, anImage, frozen, KEY, sources } from '../support/builders.ts'

const PASSWD = 'root:x:0:0::/root:/bin/sh\nmattermost:x:2000:2001::/mattermost:/bin/false\n'
const FILES = {
  'etc/passwd': file(PASSWD),
  'etc/group': file('root:x:0:\nmattermost:x:2001:\nmedia:x:44:mattermost\n'),
  data: dir(),
}
const SOURCES = sources({ db: { USER: 'root' } })

interface Case {
  readonly spec?: Record<string, unknown>
  readonly config?: Partial<ImageConfig>
  readonly files?: Readonly<Record<string, FileNode>>
}

function state({ spec = {}, config = {}, files = FILES }: Case) {
  return desiredState({
    key: KEY,
    app: frozen(anApp(spec)),
    image: frozen(anImage({ config })),
    tree: tree(files),
    sources: SOURCES,
  })
}

test('another way of merging layers is another revision on one host, and only there', () => {
  const revisionFor = (imagePolicy: object) => desired({ spec: { imagePolicy } }).revision
  expect(revisionFor({ layerSemantics: 'spec' })).toBe(revisionFor({}))
  expect(revisionFor({ layerSemantics: 'overlayfs' })).not.toBe(revisionFor({}))
  const onCluster = (imagePolicy: object) =>
    desiredState({
      key: KEY,
      app: anApp({ imagePolicy }),
      image: anImage({}),
      tree: tree(FILES),
      sources: SOURCES,
      revision: { digest: anImage({}).digest, more: {} },
    })
  expect(onCluster({ layerSemantics: 'overlayfs' })).toMatchObject({
    desired: { revision: (onCluster({}) as { desired: Desired }).desired.revision },
  })
})

function desired(given: Case): Desired {
  const result = state(given)
  if ('issues' in result)
    throw new Error(result.issues.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  return result.desired
}

function issues(given: Case): readonly Issue[] {
  const result = state(given)
  return 'issues' in result ? result.issues : []
}

test('an app without a word of its own is what the image says', () => {
  const found = desired({ config: { volumes: ['/data/'], user: 'mattermost', stopSignal: 'SIGINT' } })
  expect(found).toMatchObject({
    key: KEY,
    identity: { uid: 2000, gid: 2001, additionalGids: [2001, 44], home: '/mattermost', name: 'mattermost' },
    process: { command: undefined, args: undefined, env: [], workingDir: undefined, user: undefined },
    hooks: [],
    running: true,
    graceSeconds: 30,
    stopSignal: 'SIGINT',
    warnings: [],
  })
  expect(found.volumes.map(({ path }) => path)).toEqual(['/data'])
  expect(found.revision).toBe(revisionOf(found.app, found.image.manifestDigest, SOURCES))
})

test('an image without a stop signal is stopped with SIGTERM', () => {
  expect(desired({}).stopSignal).toBe('SIGTERM')
})

describe('the user', () => {
  test.each<[string, Case, number, number, number[]]>([
    ['root where nobody says anything', {}, 0, 0, [0]],
    ['the one of the image', { config: { user: 'mattermost' } }, 2000, 2001, [2001, 44]],
    [
      'the one of the spec before the image',
      { config: { user: 'mattermost' }, spec: { user: '1000:1001' } },
      1000,
      1001,
      [],
    ],
    [
      'runAsUser before the image',
      { config: { user: 'mattermost' }, spec: { securityContext: { runAsUser: 1000 } } },
      1000,
      0,
      [],
    ],
    [
      'runAsUser with the groups of its account',
      { spec: { securityContext: { runAsUser: 2000 } } },
      2000,
      2001,
      [2001, 44],
    ],
    [
      'runAsUser 0, which is a word, too',
      { config: { user: 'mattermost' }, spec: { securityContext: { runAsUser: 0 } } },
      0,
      0,
      [0],
    ],
    ['runAsUser and runAsGroup', { spec: { securityContext: { runAsUser: 1, runAsGroup: 2 } } }, 1, 2, []],
    [
      "runAsGroup with the image's user",
      { config: { user: 'mattermost:media' }, spec: { securityContext: { runAsGroup: 7 } } },
      2000,
      7,
      [],
    ],
    [
      'runAsGroup with an image that names no user',
      { spec: { securityContext: { runAsGroup: 7 } } },
      0,
      7,
      [],
    ],
    [
      'supplementalGroups beside the others, each once',
      { config: { user: 'mattermost' }, spec: { securityContext: { supplementalGroups: [44, 99, 99] } } },
      2000,
      2001,
      [2001, 44, 99],
    ],
  ])('is %s', (_title, given, uid, gid, additionalGids) => {
    expect(desired(given).identity).toMatchObject({ uid, gid, additionalGids })
  })

  test.each<[string, Case]>([
    ['of the image', { config: { user: 'nobody-here' } }],
    ['of the spec', { spec: { user: 'nobody-here' } }],
    ['of the group', { spec: { user: 'mattermost:nobody-here' } }],
  ])('%s that the image does not know is refused', (_title, given) => {
    expect(issues(given)).toMatchObject([{ severity: 'error', reason: 'UserNotFound' }])
  })

  const NON_ROOT = { securityContext: { runAsNonRoot: true } }
  test.each<[string, Case, string[]]>([
    ['an image that runs as root', { spec: NON_ROOT }, ['InvalidSpec spec.securityContext.runAsNonRoot']],
    [
      'an account with uid 0',
      { spec: NON_ROOT, config: { user: 'toor' }, files: { 'etc/passwd': file('toor:x:0:5::/:\n') } },
      ['InvalidSpec spec.securityContext.runAsNonRoot'],
    ],
    ['an image with a user', { spec: NON_ROOT, config: { user: 'mattermost' } }, []],
    ['a uid of the spec', { spec: { securityContext: { runAsNonRoot: true, runAsUser: 1 } } }, []],
    ['false, which asks for nothing', { spec: { securityContext: { runAsNonRoot: false } } }, []],
  ])('runAsNonRoot judges %s', (_title, given, expected) => {
    expect(issues(given).map(({ reason, path }) => `${reason} ${path}`)).toEqual(expected)
  })
})

test('all problems are told at once', () => {
  const found = issues({
    config: { volumes: ['/proc'], user: 'nobody-here', entrypoint: [], cmd: [] },
    spec: {
      envFrom: [{ secretRef: { name: 'gone' } }],
      volumes: [{ path: '/etc/passwd' }],
    },
  })
  expect(found.map(({ reason, path }) => `${reason} ${path}`)).toEqual([
    'VolumePathInvalid VOLUME /proc',
    'VolumeNotDirectory spec.volumes[0].path',
    'NotFound spec.envFrom[0]',
    'UserNotFound spec.user',
    'CommandMissing spec.command',
  ])
})

test('a warning alone refuses nothing and is handed on', () => {
  expect(desired({ config: { volumes: ['[/x,'] } }).warnings).toMatchObject([{ severity: 'warning' }])
})

test('command and args see the variables; the words of the image are left alone', () => {
  const env = [{ name: 'PORT', value: '80' }]
  const found = desired({ spec: { env, command: ['/run', '$(PORT)'], args: ['$$(PORT)', '$(NOPE)'] } })
  expect(found.process).toMatchObject({ command: ['/run', '80'], args: ['$(PORT)', '$(NOPE)'] })
  expect(desired({ spec: { env }, config: { cmd: ['$(PORT)'] } }).image.config.cmd).toEqual(['$(PORT)'])
})

test.each<[string, Record<string, unknown>, boolean]>([
  ['by default', {}, true],
  ['with one replica', { replicas: 1 }, true],
  ['not with none', { replicas: 0 }, false],
  ['not when suspended', { suspend: true }, false],
  ['not when suspended with a replica', { suspend: true, replicas: 1 }, false],
  ['when not suspended', { suspend: false }, true],
])('the app runs %s', (_title, spec, running) => {
  expect(desired({ spec }).running).toBe(running)
})

test('hooks come in their order, with every default filled in', () => {
  const hooks = [
    { path: '/a', args: ['x'], env: [{ name: 'E' }], timeoutSeconds: 9 },
    { path: '/b', stage: 'Poststop' },
  ]
  expect(desired({ spec: { hooks } }).hooks).toEqual([
    {
      stage: 'startContainer',
      path: '/a',
      args: ['x'],
      env: [{ name: 'E', value: '' }],
      timeoutSeconds: 9,
      field: 'spec.hooks[0]',
    },
    { stage: 'poststop', path: '/b', args: [], env: [], timeoutSeconds: 5, field: 'spec.hooks[1]' },
  ])
})

test.each([
  ['StartContainer', 'startContainer'],
  ['CreateRuntime', 'createRuntime'],
  ['CreateContainer', 'createContainer'],
  ['Poststart', 'poststart'],
  ['Poststop', 'poststop'],
])('stage %s is the runtime spec’s %s', (stage, expected) => {
  expect(desired({ spec: { hooks: [{ path: '/a', stage }] } }).hooks[0]?.stage).toBe(expected)
})

test.each<[string, Record<string, unknown> | undefined, Record<string, number | undefined>]>([
  ['nothing', undefined, { memoryBytes: undefined, cpuQuotaUs: undefined, cpuShares: undefined, pids: 2048 }],
  [
    'a memory limit',
    { limits: { memory: '1Gi' } },
    { memoryBytes: 1 << 30, memoryReservationBytes: undefined },
  ],
  [
    'a memory request',
    { requests: { memory: 1000 } },
    { memoryBytes: undefined, memoryReservationBytes: 1000 },
  ],
  ['half a CPU', { limits: { cpu: '500m' } }, { cpuQuotaUs: 50_000 }],
  ['two CPUs as a number', { limits: { cpu: 2 } }, { cpuQuotaUs: 200_000 }],
  [
    'a sliver of a CPU: the kernel takes no less than a millisecond',
    { limits: { cpu: '1m' } },
    { cpuQuotaUs: 1000 },
  ],
  ['a share of a CPU', { requests: { cpu: '250m' } }, { cpuShares: 256 }],
  ['a sliver of a share: the kernel takes no less than 2', { requests: { cpu: '1m' } }, { cpuShares: 2 }],
])('resources: %s', (_title, resources, expected) => {
  const app = anApp(resources === undefined ? {} : { resources })
  expect(resourceLimits(app.spec.resources)).toMatchObject(expected)
})

test('security is tight unless the user says otherwise', () => {
  expect(desired({}).security).toEqual({
    readOnlyRootFilesystem: false,
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilitiesAdd: [],
    capabilitiesDrop: [],
    seccomp: 'RuntimeDefault',
  })
})

test('what the user says about security is taken over', () => {
  const securityContext = {
    readOnlyRootFilesystem: true,
    privileged: true,
    capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
    seccompProfile: { type: 'Unconfined' },
  }
  expect(desired({ spec: { securityContext } }).security).toEqual({
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: true,
    privileged: true,
    capabilitiesAdd: ['NET_ADMIN'],
    capabilitiesDrop: ['ALL'],
    seccomp: 'Unconfined',
  })
})
