import { describe, expect, test } from 'vitest'
import type { AppStatus } from '../../src/crd/status.ts'
import { parseStatus } from '../../src/crd/status.ts'
import type { Digest, ResolvedImage } from '../../src/image/types.ts'
import { statusOf } from '../../src/reconcile/status.ts'
import { imageStatus } from '../../src/reconcile/status-image.ts'
import type { Desired } from '../../src/reconcile/types.ts'
import { anEnd, anImage, anInstance, aStoredVolume, digest, NOW_MS, observed } from '../support/builders.ts'
import { DATA, facts, old, refused, RUNNING } from './facts.ts'

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

describe('a volume whose storage is older than its resource', () => {
  const made = (metadata: Record<string, unknown>) => ({
    ...facts().desired,
    app: { ...facts().desired?.app, metadata: { ...facts().desired?.app.metadata, ...metadata } },
  })
  test.each([
    [NOW_MS - 1000, { kept: true }],
    [NOW_MS, {}],
    [undefined, {}],
  ])('made at %s', (createdAtMs, expected) => {
    const desired = made({ creationTimestamp: new Date(NOW_MS).toISOString() }) as Desired
    const volumes = [aStoredVolume('/data', { createdAtMs })]
    const [volume] = statusOf(facts({ desired, observed: observed({ ...RUNNING, volumes }) })).volumes ?? []
    expect(volume?.kept === undefined ? {} : { kept: volume.kept }).toEqual(expected)
  })
})

describe('status.workload', () => {
  test('remembers which revision was ready last', () => {
    const first = statusOf(facts())
    expect(first.workload?.readyRevision).toBe(first.workload?.revision)
    const down = statusOf(facts({ previous: first, observed: observed({ instances: [] }) }))
    expect(down.workload?.readyRevision).toBe(first.workload?.revision)
  })

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

  test('a rollback to a digest that nobody knows has no name', () => {
    const back = { ...kept('c3'), request: 't1', rollback: true }
    const first = imageStatus(back, imageStatus(fresh('a1'), undefined, NOW), LATER)
    expect(first.rollback).toEqual({})
    expect(imageStatus(kept('c3'), first, LATER).rollback).toEqual({})
    expect(imageStatus(fresh('c3'), first, LATER)).not.toHaveProperty('rollback')
  })

  test('a rollback to what is pinned is none', () => {
    const first = imageStatus(fresh('a1'), undefined, NOW)
    expect(imageStatus({ ...fresh('a1', 't1'), rollback: true }, first, LATER)).not.toHaveProperty('rollback')
  })

  test('a rollback for which nobody was asked is a new choice, but no new answer of a registry', () => {
    const first = imageStatus(fresh('a1'), undefined, NOW)
    const back = (pair: string) => imageStatus({ ...kept(pair), request: 't1', rollback: true }, first, LATER)
    expect(back('c3').resolvedAt).toBe(LATER)
    expect(back('a1').resolvedAt).toBe(NOW)
  })

  test.each<[string, Digest | undefined, Digest | undefined]>([
    ['another digest', digest('b2'), digest('b2')],
    ['the same digest', digest('a1'), undefined],
    ['nothing', undefined, undefined],
  ])('a tag that was seen at %s', (_title, movedTo, available) => {
    expect(
      imageStatus(kept('a1'), undefined, NOW, movedTo === undefined ? undefined : { digest: movedTo })
        .availableDigest,
    ).toBe(available)
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
