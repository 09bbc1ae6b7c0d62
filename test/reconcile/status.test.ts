import { describe, expect, test } from 'vitest'
import { type AppStatus, parseStatus } from '../../src/crd/status.ts'
import { CONDITION_TYPES } from '../../src/crd/conditions.ts'
import { ExpectedError, type Issue } from '../../src/errors.ts'
import { canonicalJson } from '../../src/reconcile/canonical-json.ts'
import { MOVE_WORDS_MAX_BYTES } from '../../src/image/move-words.ts'
import { settledStatus, statusOf } from '../../src/reconcile/status.ts'
import type { Facts } from '../../src/reconcile/status-facts.ts'
import { anApp, anEnd, anInstance, aStoredVolume, digest, NOW_MS, observed } from '../support/builders.ts'
import { conditions, DATA, desired, facts, GOOD, IMAGE, message, old, refused, RUNNING } from './facts.ts'

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
        WorkloadAvailable: 'False/Pending',
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
        WorkloadAvailable: 'False/Pending',
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
        WorkloadAvailable: 'False/Pending',
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
    [
      'a tag that has moved',
      { movedTo: { digest: digest('b2') } },
      { ...GOOD, ImageOutdated: 'True/TagMoved' },
    ],
    ['a tag that has not moved', { movedTo: { digest: IMAGE.digest } }, GOOD],
  ])('%s', (_title, changes, expected) => {
    expect(conditions(statusOf(facts(changes)))).toEqual(expected)
  })

  test('warnings are told where the rendering is', () => {
    const warnings: Issue[] = [
      { severity: 'warning', reason: 'UnsupportedField', path: 'spec.probes', message: 'is not run' },
    ]
    const status = statusOf(facts({ warnings }))
    expect(conditions(status)['Rendered']).toBe('True/RenderedWithWarnings')
    expect(message(status, 'Rendered')).toBe('UnsupportedField: spec.probes: is not run')
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

  test('a moved tag says what taking it would change, for this very pin', () => {
    const changes = { from: IMAGE.digest, words: 'adds VOLUME /data, drops arm64' }
    const status = statusOf(facts({ movedTo: { digest: digest('b2'), changes } }))
    expect(message(status, 'ImageOutdated')).toContain(
      `now is ${digest('b2')}: adds VOLUME /data, drops arm64; what runs stays`,
    )
    expect(status.image?.availableChanges).toBe('adds VOLUME /data, drops arm64')
    const other = { digest: digest('b2'), changes: { ...changes, from: digest('c3') } }
    expect(message(statusOf(facts({ movedTo: other })), 'ImageOutdated')).toContain(`${digest('b2')}; what`)
    expect(statusOf(facts({ movedTo: other })).image).not.toHaveProperty('availableChanges')
  })

  test("a moved tag's words vanish with it, also from an app at rest", () => {
    const changes = { from: IMAGE.digest, words: 'user root → 5' }
    const moved = statusOf(facts({ movedTo: { digest: digest('b2'), changes } }))
    const at = (movedTo: Facts['movedTo']) =>
      settledStatus(facts({ previous: moved, movedTo, image: undefined }), moved)
    expect(at({ digest: digest('b2'), changes })).toEqual(moved)
    expect(Object.keys(at({ digest: IMAGE.digest }).image ?? {})).not.toContain('availableChanges')
  })

  test('the message of a moved tag is bounded', () => {
    const changes = { from: IMAGE.digest, words: 'x'.repeat(MOVE_WORDS_MAX_BYTES) }
    const image = `example.com/${'a'.repeat(200)}/${'b'.repeat(30)}:${'t'.repeat(128)}`
    const app = anApp({ image }, { name: 'n'.repeat(50) })
    const status = statusOf(facts({ app, movedTo: { digest: digest('b2'), changes } }))
    expect(Buffer.byteLength(message(status, 'ImageOutdated') ?? '')).toBeLessThanOrEqual(1024)
  })

  test('a moved tag says how to take it', () => {
    expect(message(statusOf(facts({ movedTo: { digest: digest('b2') } })), 'ImageOutdated')).toContain(
      'fairlead rebuild mattermost',
    )
  })
})

describe('a failure that is tried again', () => {
  const present = (reason: ExpectedError['reason']) =>
    Object.keys(
      conditions(statusOf(facts({ ...refused(reason, 'image', 'backoff'), image: undefined }))),
    ).filter((type) => type === 'Stalled' || type === 'Reconciling')

  test.each<ExpectedError['reason']>([
    'ImageNotFound',
    'ImageNotPullable',
    'PlatformNotFound',
    'RegistryUnauthorized',
    'PullSecretForbidden',
    'PullSecretInvalid',
  ])('%s waits for somebody', (reason) => {
    expect(present(reason)).toEqual(['Stalled'])
  })

  test.each<ExpectedError['reason']>([
    'RegistryUnavailable',
    'ClusterUnavailable',
    'DiskFull',
    'QuotaExceeded',
  ])('%s may pass by itself', (reason) => {
    expect(present(reason)).toEqual(['Reconciling'])
  })
})

describe('the status is written once', () => {
  const CASES: [string, Partial<Facts>][] = [
    ['an app that runs', { addresses: ['127.0.0.1:8065'] }],
    ['a moved tag', { movedTo: { digest: digest('b2') } }],
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
    const gone = [{ digest: IMAGE.digest, host: 'example.com', since: '2026-03-01T00:00:00Z' }]
    const first = statusOf(
      facts({ gone, movedTo: { digest: digest('b2') }, ...refused('ExecNotFound', 'rendering') }),
    )
    expect(first.conditions?.map(({ type }) => type)).toEqual(
      CONDITION_TYPES.filter((type) => type !== 'Reconciling'),
    )
    const second = statusOf(facts({ previous: first, gone: [] }))
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
