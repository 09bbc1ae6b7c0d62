import { describe, expect, test } from 'vitest'
import type { AppStatus } from '../../src/crd/status.ts'
import { parseStatus } from '../../src/crd/status.ts'
import { CONDITION_TYPES } from '../../src/crd/conditions.ts'
import { ExpectedError, type Issue } from '../../src/errors.ts'
import type { Digest, ResolvedImage } from '../../src/image/types.ts'
import { canonicalJson } from '../../src/reconcile/canonical-json.ts'
import { desiredState } from '../../src/reconcile/desired.ts'
import { statusOf, type Facts } from '../../src/reconcile/status.ts'
import { imageStatus } from '../../src/reconcile/status-image.ts'
import type { Desired, ObservedInstance } from '../../src/reconcile/types.ts'
import { dir, tree } from '../bundle/tree.ts'
import {
  anApp,
  anEnd,
  anImage,
  anInstance,
  aStoredVolume,
  digest,
  frozen,
  KEY,
  NOW_MS,
  observed,
  sources,
} from '../support/builders.ts'

const APP = anApp({ volumes: [{ path: '/data' }] })
const IMAGE = anImage()

function desired(spec: Record<string, unknown> = {}): Desired {
  const app = anApp({ volumes: [{ path: '/data' }], ...spec })
  const result = desiredState({
    key: KEY,
    app,
    image: IMAGE,
    tree: tree({ data: dir() }),
    sources: sources(),
  })
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.desired
}

const DATA = aStoredVolume('/data')
const RUNNING = {
  instances: [anInstance('running')],
  volumes: [DATA],
  execByPath: new Map([['/data', 'exec' as const]]),
}

/** An app that runs, and nothing special. */
function facts(changes: Partial<Facts> = {}): Facts {
  return frozen({
    app: APP,
    generation: 1,
    previous: undefined,
    image: { resolved: IMAGE, request: undefined, fresh: false },
    error: undefined,
    failedAt: undefined,
    warnings: [],
    desired: desired(),
    targetId: 'new',
    observed: observed(RUNNING),
    addresses: [],
    movedTo: undefined,
    resolveError: undefined,
    wakeAtMs: undefined,
    nowMs: NOW_MS,
    ...changes,
  })
}

/** What a pass says that failed before it had a desired state. */
function refused(
  reason: ExpectedError['reason'],
  failedAt: Facts['failedAt'],
  retry: 'terminal' | 'backoff' = 'terminal',
): Partial<Facts> {
  return {
    error: new ExpectedError(reason, 'why', { retry }),
    failedAt,
    desired: undefined,
    targetId: undefined,
  }
}

/** `Ready=True/Running` by type. */
function conditions(status: AppStatus): Record<string, string> {
  return Object.fromEntries(
    (status.conditions ?? []).map(({ type, status, reason }) => [type, `${status}/${reason}`]),
  )
}

function message(status: AppStatus, type: string): string {
  return status.conditions?.find((condition) => condition.type === type)?.message ?? ''
}

const old = (state: ObservedInstance['state'], changes: Partial<ObservedInstance> = {}) =>
  anInstance(state, { id: 'old', revision: 'old', ...changes })

const GOOD = {
  Ready: 'True/Running',
  ImageResolved: 'True/Resolved',
  Rendered: 'True/Rendered',
  VolumesReady: 'True/VolumesReady',
  VolumesExecutable: 'True/Executable',
  WorkloadAvailable: 'True/Running',
}

describe('conditions of', () => {
  const before = () => statusOf(facts())
  const looping = { failures: 3, recorded: true, restarts: 2, run: 3 }
  test.each<[string, Partial<Facts>, Record<string, string>]>([
    ['an app that runs', {}, GOOD],
    [
      'a fresh app whose image is refused',
      { ...refused('ImageNotFound', 'image'), image: undefined, observed: observed() },
      {
        Ready: 'False/ImageNotFound',
        ImageResolved: 'False/ImageNotFound',
        Rendered: 'Unknown/Pending',
        VolumesReady: 'Unknown/Pending',
        VolumesExecutable: 'Unknown/Pending',
        WorkloadAvailable: 'False/Starting',
        Stalled: 'True/ImageNotFound',
      },
    ],
    [
      'a fresh app in an outage',
      { ...refused('RegistryUnavailable', 'image', 'backoff'), image: undefined, observed: observed() },
      {
        Ready: 'False/RegistryUnavailable',
        ImageResolved: 'False/RegistryUnavailable',
        Rendered: 'Unknown/Pending',
        VolumesReady: 'Unknown/Pending',
        VolumesExecutable: 'Unknown/Pending',
        WorkloadAvailable: 'False/Starting',
        Reconciling: 'True/Progressing',
      },
    ],
    [
      'an app that is being started',
      { observed: observed({ instances: [anInstance('starting')], volumes: [DATA] }) },
      {
        ...GOOD,
        Ready: 'False/Starting',
        VolumesExecutable: 'Unknown/NotRunning',
        WorkloadAvailable: 'False/Starting',
        Reconciling: 'True/Progressing',
      },
    ],
    [
      'a new revision that is refused while the old one runs',
      {
        ...refused('ExecNotFound', 'rendering'),
        previous: before(),
        observed: observed({ ...RUNNING, instances: [old('running')] }),
      },
      { ...GOOD, Ready: 'False/ExecNotFound', Rendered: 'False/ExecNotFound', Stalled: 'True/ExecNotFound' },
    ],
    [
      'a resource that no longer parses while the old revision runs',
      {
        ...refused('InvalidSpec', 'resource'),
        app: undefined,
        image: undefined,
        previous: before(),
        observed: observed({ ...RUNNING, instances: [old('running')] }),
      },
      { ...GOOD, Ready: 'False/InvalidSpec', Rendered: 'False/InvalidSpec', Stalled: 'True/InvalidSpec' },
    ],
    [
      'an outage while what is pinned runs',
      {
        previous: before(),
        resolveError: new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' }),
      },
      { ...GOOD, ImageResolved: 'False/RegistryUnavailable', Reconciling: 'True/Progressing' },
    ],
    [
      'a rebuild whose tag is gone while what is pinned runs',
      { previous: before(), resolveError: new ExpectedError('ImageNotFound', 'gone') },
      { ...GOOD, ImageResolved: 'False/ImageNotFound' },
    ],
    [
      'a volume that could not be made',
      {
        error: new ExpectedError('DiskFull', 'full', { retry: 'backoff' }),
        failedAt: 'volumes',
        observed: observed({ instances: [], volumes: [aStoredVolume('/data', { phase: 'Pending' })] }),
      },
      {
        ...GOOD,
        Ready: 'False/DiskFull',
        VolumesReady: 'False/DiskFull',
        VolumesExecutable: 'Unknown/NotRunning',
        WorkloadAvailable: 'False/Starting',
        Reconciling: 'True/Progressing',
      },
    ],
    [
      'a hook that failed',
      {
        observed: observed({
          instances: [
            anInstance('ended', {
              ...looping,
              termination: anEnd({ reason: 'HookFailed', message: 'spec.hooks[0] failed' }),
            }),
          ],
          volumes: [DATA],
        }),
        wakeAtMs: NOW_MS + 10_000,
      },
      {
        ...GOOD,
        Ready: 'False/HookFailed',
        VolumesExecutable: 'Unknown/NotRunning',
        WorkloadAvailable: 'False/HookFailed',
        Reconciling: 'True/Progressing',
      },
    ],
    [
      'a crash loop',
      {
        observed: observed({ instances: [anInstance('ended', looping)], volumes: [DATA] }),
        wakeAtMs: NOW_MS + 10_000,
      },
      {
        ...GOOD,
        Ready: 'False/CrashLoopBackOff',
        VolumesExecutable: 'Unknown/NotRunning',
        WorkloadAvailable: 'False/CrashLoopBackOff',
        Reconciling: 'True/Progressing',
      },
    ],
    [
      'a container that was killed for its memory',
      {
        observed: observed({
          instances: [anInstance('ended', { termination: anEnd({ exitCode: 137, reason: 'OutOfMemory' }) })],
          volumes: [DATA],
        }),
      },
      {
        ...GOOD,
        Ready: 'False/OutOfMemory',
        VolumesExecutable: 'Unknown/NotRunning',
        WorkloadAvailable: 'False/OutOfMemory',
        Reconciling: 'True/Progressing',
      },
    ],
    [
      'a suspended app',
      {
        desired: desired({ suspend: true }),
        previous: before(),
        observed: observed({
          instances: [anInstance('ended', { termination: anEnd({ reason: 'Stopped' }) })],
          volumes: [DATA],
        }),
      },
      { ...GOOD, Ready: 'True/Suspended', WorkloadAvailable: 'False/Suspended' },
    ],
    [
      'a volume that the host mounts noexec',
      { observed: observed({ ...RUNNING, execByPath: new Map([['/data', 'noexec' as const]]) }) },
      { ...GOOD, Ready: 'False/VolumeNotExecutable', VolumesExecutable: 'False/VolumeNotExecutable' },
    ],
    [
      'a volume that the user wants noexec',
      {
        desired: desired({ volumes: [{ path: '/data', exec: 'Forbidden' }] }),
        observed: observed({ ...RUNNING, execByPath: new Map([['/data', 'noexec' as const]]) }),
      },
      GOOD,
    ],
    ['a tag that has moved', { movedTo: digest('b2') }, { ...GOOD, ImageOutdated: 'True/TagMoved' }],
    ['a tag that has not moved', { movedTo: IMAGE.digest }, GOOD],
  ])('%s', (_title, changes, expected) => {
    expect(conditions(statusOf(facts(changes)))).toEqual(expected)
  })

  test('warnings are told where the rendering is', () => {
    const warnings: Issue[] = [
      { severity: 'warning', reason: 'UnsupportedField', path: 'spec.probes', message: 'is not run' },
    ]
    const status = statusOf(facts({ warnings }))
    expect(conditions(status)['Rendered']).toBe('True/RenderedWithWarnings')
    expect(message(status, 'Rendered')).toBe('spec.probes: is not run')
  })

  test('a crash loop says when it starts next', () => {
    const status = statusOf(
      facts({ observed: observed({ instances: [anInstance('ended', looping)] }), wakeAtMs: NOW_MS + 10_000 }),
    )
    expect(message(status, 'Ready')).toContain('2026-03-01T12:00:10.000Z')
  })

  test('a refused image names what it keeps running', () => {
    const status = statusOf(facts({ targetId: 'new', observed: observed({ instances: [old('running')] }) }))
    expect(message(status, 'WorkloadAvailable')).toBe('revision old still runs')
  })

  test('a moved tag says how to take it', () => {
    expect(message(statusOf(facts({ movedTo: digest('b2') })), 'ImageOutdated')).toContain(
      'fairlead rebuild mattermost',
    )
  })
})

describe('the status is written once', () => {
  const CASES: [string, Partial<Facts>][] = [
    ['an app that runs', { addresses: ['127.0.0.1:8065'] }],
    ['a moved tag', { movedTo: digest('b2') }],
    [
      'an app in a crash loop',
      {
        observed: observed({ instances: [anInstance('ended', { failures: 3, recorded: true })] }),
        wakeAtMs: NOW_MS + 10_000,
      },
    ],
    [
      'a refused revision',
      {
        ...refused('ExecNotFound', 'rendering'),
        observed: observed({ ...RUNNING, instances: [old('running')] }),
      },
    ],
    ['a suspended app', { desired: desired({ suspend: true }) }],
    ['an outage', { resolveError: new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' }) }],
    ['an answered request', { image: { resolved: IMAGE, request: 't1', fresh: false } }],
  ]
  test.each(CASES)('%s: equal facts give an equal status later on', (_title, changes) => {
    const first = statusOf(facts(changes))
    const second = statusOf(facts({ ...changes, previous: first, nowMs: NOW_MS + 3_600_000 }))
    expect(second).toEqual(first)
  })

  test.each(CASES)('%s: also when it was stored and read back', (_title, changes) => {
    const first = statusOf(facts(changes))
    const stored = parseStatus(JSON.parse(JSON.stringify(first)))
    expect(stored).toBeDefined()
    const second = statusOf(facts({ ...changes, previous: stored, nowMs: NOW_MS + 3_600_000 }))
    expect(canonicalJson(second)).toBe(canonicalJson(stored))
  })

  test('the order of conditions is fixed, and a condition that is no longer true is gone', () => {
    const first = statusOf(facts({ movedTo: digest('b2'), ...refused('ExecNotFound', 'rendering') }))
    expect(first.conditions?.map(({ type }) => type)).toEqual(
      CONDITION_TYPES.filter((type) => type !== 'Reconciling'),
    )
    const second = statusOf(facts({ previous: first }))
    expect(Object.keys(conditions(second))).toEqual(Object.keys(GOOD))
  })

  test('a condition keeps its time while its status stays, and gets a new one when it changes', () => {
    const later = NOW_MS + 60_000
    const first = statusOf(facts())
    const second = statusOf(facts({ previous: first, ...refused('ExecNotFound', 'rendering'), nowMs: later }))
    const time = (status: AppStatus, type: string) =>
      status.conditions?.find((entry) => entry.type === type)?.lastTransitionTime
    expect(time(second, 'ImageResolved')).toBe(new Date(NOW_MS).toISOString())
    expect(time(second, 'Ready')).toBe(new Date(later).toISOString())
  })

  test('every condition speaks of the generation that was looked at', () => {
    const status = statusOf(facts({ generation: 7, previous: statusOf(facts()) }))
    expect(status.observedGeneration).toBe(7)
    expect(new Set(status.conditions?.map(({ observedGeneration }) => observedGeneration))).toEqual(
      new Set([7]),
    )
  })
})

describe('status.volumes', () => {
  test('shows a path that nothing declares any more as orphaned, and keeps it', () => {
    const cache = aStoredVolume('/cache')
    const status = statusOf(facts({ observed: observed({ ...RUNNING, volumes: [DATA, cache] }) }))
    expect(status.volumes?.map(({ path, origin }) => `${path} ${origin}`)).toEqual([
      '/cache Orphaned',
      '/data Spec',
    ])
  })

  test('says what was said last while a new revision is refused', () => {
    const first = statusOf(facts())
    expect(statusOf(facts({ previous: first, ...refused('ExecNotFound', 'rendering') })).volumes).toEqual(
      first.volumes,
    )
  })

  test.each([
    ['exec', 'Allowed'],
    ['noexec', 'Denied'],
    [undefined, 'Unknown'],
  ] as const)('reports %s as %s', (flag, exec) => {
    const execByPath = new Map(flag === undefined ? [] : [['/data', flag] as const])
    expect(statusOf(facts({ observed: observed({ ...RUNNING, execByPath }) })).volumes?.[0]).toMatchObject({
      exec,
      phase: 'Ready',
      seeded: true,
    })
  })

  test('is pending until it is stored', () => {
    expect(statusOf(facts({ observed: observed() })).volumes?.[0]).toMatchObject({
      phase: 'Pending',
      seeded: false,
    })
  })
})

describe('status.workload', () => {
  test('counts what lives and what is ready', () => {
    const instances = [old('starting', { restarts: 2 }), anInstance('ended')]
    expect(statusOf(facts({ observed: observed({ instances }) })).workload).toMatchObject({
      replicas: 1,
      ready: 0,
      revision: 'old',
      restarts: 2,
    })
  })

  test.each([
    [0, undefined],
    [1, undefined],
    [128, undefined],
    [137, 9],
    [143, 15],
    [192, 64],
    [193, undefined],
    [255, undefined],
  ])('exit code %i means signal %s', (exitCode, signal) => {
    const end = anInstance('ended', { termination: anEnd({ exitCode }) })
    expect(
      statusOf(facts({ observed: observed({ instances: [end] }) })).workload?.lastTermination?.signal,
    ).toBe(signal)
  })

  test('remembers the last end while the container runs again', () => {
    const ended = statusOf(facts({ observed: observed({ instances: [anInstance('ended')] }) }))
    expect(statusOf(facts({ previous: ended })).workload?.lastTermination).toEqual(
      ended.workload?.lastTermination,
    )
  })

  test('is a status that can be read back, whatever happened', () => {
    const instances = [
      anInstance('ended', { termination: anEnd({ exitCode: 255, message: 'x'.repeat(2000) }) }),
    ]
    const status = statusOf(
      facts({ observed: observed({ instances }), addresses: Array.from({ length: 99 }, (_, n) => `h:${n}`) }),
    )
    expect(parseStatus(JSON.parse(JSON.stringify(status)))).toBeDefined()
  })
})

describe('status.image', () => {
  const NOW = new Date(NOW_MS).toISOString()
  const LATER = new Date(NOW_MS + 60_000).toISOString()
  const image = (pair: string, reference?: string): ResolvedImage =>
    anImage({ digest: digest(pair), ...(reference === undefined ? {} : { reference }) })
  const fresh = (pair: string, request?: string) => ({ resolved: image(pair), request, fresh: true })
  const kept = (pair: string) => ({ resolved: image(pair), request: undefined, fresh: false })

  test('keeps the reference byte for byte and everything that it was resolved to', () => {
    const resolved = image('a1', 'docker.io/mattermost')
    expect(imageStatus({ resolved, request: undefined, fresh: true }, undefined, NOW)).toEqual({
      reference: 'docker.io/mattermost',
      canonical: 'docker.io/library/mattermost:latest',
      digest: digest('a1'),
      shortDigest: 'a1a1a1a1a1a1',
      platformDigests: [{ platform: 'linux/amd64', digest: resolved.manifestDigest }],
      manifestDigest: resolved.manifestDigest,
      configDigest: digest('cf'),
      platform: 'linux/amd64',
      resolvedAt: NOW,
      source: { kind: 'registry', host: 'example.com', mirror: false },
      history: [],
    })
  })

  test('the time moves when the source was asked, and only then', () => {
    const first = imageStatus(fresh('a1'), undefined, NOW)
    expect(first.resolvedAt).toBe(NOW)
    expect(imageStatus(kept('a1'), first, LATER).resolvedAt).toBe(NOW)
    expect(imageStatus(fresh('a1'), first, LATER).resolvedAt).toBe(LATER)
    expect(imageStatus(fresh('b2', 't1'), first, LATER).resolvedAt).toBe(LATER)
  })

  test('the history holds at most five digests, newest first, none twice, not the current one', () => {
    const pairs = ['a1', 'b2', 'a1', 'c3', 'd4', 'd4', 'e5', 'f6', '07', '18', 'c3']
    let status: NonNullable<AppStatus['image']> | undefined
    for (const pair of pairs) status = imageStatus(fresh(pair), status, NOW)
    expect(status?.history?.map((entry) => entry.digest)).toEqual(['18', '07', 'f6', 'e5', 'd4'].map(digest))
  })

  test('the same digest under another tag is no history', () => {
    const first = imageStatus(fresh('a1'), undefined, NOW)
    const second = imageStatus(
      { ...fresh('a1'), resolved: image('a1', 'example.com/mattermost:latest') },
      first,
      LATER,
    )
    expect(second).toMatchObject({ reference: 'example.com/mattermost:latest', history: [] })
  })

  test.each<[string, Digest | undefined, Digest | undefined]>([
    ['another digest', digest('b2'), digest('b2')],
    ['the same digest', digest('a1'), undefined],
    ['nothing', undefined, undefined],
  ])('a tag that was seen at %s', (_title, movedTo, available) => {
    expect(imageStatus(kept('a1'), undefined, NOW, movedTo).availableDigest).toBe(available)
  })

  test('lastHandledRequest is answered together with the resolution', () => {
    expect(statusOf(facts({ image: fresh('a1', 't1') })).lastHandledRequest).toBe('t1')
    expect(
      statusOf(facts({ previous: { lastHandledRequest: 't0' }, image: kept('a1') })).lastHandledRequest,
    ).toBe('t0')
    expect(
      statusOf(facts({ previous: { lastHandledRequest: 't0' }, image: undefined })).lastHandledRequest,
    ).toBe('t0')
  })
})
