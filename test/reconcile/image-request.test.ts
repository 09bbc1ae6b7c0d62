import { describe, expect, test } from 'vitest'
import type { AppStatus } from '../../src/crd/status.ts'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { imageRequest } from '../../src/reconcile/image-request.ts'
import { anApp, digest, frozen, NOW_MS } from '../support/builders.ts'

const IMAGE = 'example.com/mattermost:10.12'
const HOUR = 3_600_000
const PIN = digest('a1')

function pinned(changes: Partial<NonNullable<AppStatus['image']>> = {}, handled?: string): AppStatus {
  const image = {
    reference: IMAGE,
    canonical: IMAGE,
    digest: PIN,
    resolvedAt: new Date(NOW_MS - HOUR).toISOString(),
    ...changes,
  }
  return frozen({ image, ...(handled === undefined ? {} : { lastHandledRequest: handled }) })
}

interface Case {
  readonly spec?: Record<string, unknown>
  readonly annotations?: Record<string, string>
  readonly status?: AppStatus
  readonly intervalMs?: number
}

function request({ spec = {}, annotations = {}, status, intervalMs }: Case) {
  return imageRequest(frozen(anApp(spec, { annotations })), status, NOW_MS, intervalMs)
}

const KEEP = { kind: 'keep', digest: PIN }
const asked = (value: string) => ({ [RESOLVE_REQUESTED_AT]: value })

describe('the pin', () => {
  test.each<[string, Case]>([
    ['another pass', {}],
    ['an edit of env', { spec: { env: [{ name: 'A', value: '1' }] } }],
    ['an edit of volumes', { spec: { volumes: [{ path: '/data', size: '5Gi' }] } }],
    ['an edit of command', { spec: { command: ['/other'] } }],
    ['suspending', { spec: { suspend: true } }],
    ['a change of policy', { spec: { imagePolicy: { resolve: 'OnImageChange' } } }],
    ['a request that was answered', { annotations: asked('t1'), status: pinned({}, 't1') }],
    ['a restart that was asked for', { annotations: { [RESTART_REQUESTED_AT]: 't2' } }],
    ['a rollback that nobody asked for', { annotations: { [ROLLBACK_TO]: digest('b2') } }],
    [
      'a rollback that was answered',
      { annotations: { ...asked('t1'), [ROLLBACK_TO]: digest('b2') }, status: pinned({}, 't1') },
    ],
    [
      'an interval that is not over',
      { spec: { imagePolicy: { resolve: 'Interval', interval: '61m' } }, intervalMs: 61 * 60_000 },
    ],
    ['an interval of another policy', { intervalMs: 1 }],
    [
      'policy Never',
      {
        spec: { image: `example.com/app@${digest('a1')}`, imagePolicy: { resolve: 'Never' } },
        status: pinned({ reference: `example.com/app@${digest('a1')}` }),
      },
    ],
  ])('stays through %s', (_title, given) => {
    expect(request({ status: pinned(), ...given })).toEqual(KEEP)
  })
})

describe('the reference is asked', () => {
  test.each<[string, Case, string, string | undefined]>([
    ['when nothing is pinned', {}, 'first', undefined],
    [
      'when nothing is pinned, and the request counts as answered',
      { annotations: asked('t1') },
      'first',
      't1',
    ],
    [
      'when only other things are in the status',
      { status: frozen({ observedGeneration: 3 }) },
      'first',
      undefined,
    ],
    [
      'when the tag changed',
      { spec: { image: 'example.com/mattermost:10.13' }, status: pinned() },
      'image-changed',
      undefined,
    ],
    [
      'when the text changed, though it means the same',
      { spec: { image: 'alpine' }, status: pinned({ reference: 'docker.io/library/alpine:latest' }) },
      'image-changed',
      undefined,
    ],
    ['when somebody asks', { annotations: asked('t1'), status: pinned() }, 'requested', 't1'],
    ['when somebody asks again', { annotations: asked('t2'), status: pinned({}, 't1') }, 'requested', 't2'],
    [
      'when the image changed and somebody asks',
      { spec: { image: 'example.com/other' }, annotations: asked('t1'), status: pinned() },
      'image-changed',
      't1',
    ],
    [
      'when the interval is over, to the millisecond',
      { spec: { imagePolicy: { resolve: 'Interval', interval: '1h' } }, status: pinned(), intervalMs: HOUR },
      'interval',
      undefined,
    ],
  ])('%s', (_title, given, why, answered) => {
    expect(request(given)).toEqual({ kind: 'resolve', why, request: answered })
  })
})

describe('a rollback', () => {
  const annotations = { ...asked('t1'), [ROLLBACK_TO]: digest('b2') }
  test.each<[string, AppStatus | undefined]>([
    ['over a pin', pinned()],
    ['with nothing pinned', undefined],
    ['over another image', pinned({ reference: 'example.com/before' })],
  ])('pins exactly the digest that was named, %s', (_title, status) => {
    expect(request({ annotations, ...(status === undefined ? {} : { status }) })).toEqual({
      kind: 'pin',
      digest: digest('b2'),
      request: 't1',
    })
  })

  test.each(['', 'sha256:abc', digest('b2').toUpperCase(), ` ${digest('b2')}`, `sha1:${'a'.repeat(40)}`])(
    'to %j is refused by its annotation',
    (value) => {
      const app = anApp()
      const broken = {
        ...app,
        metadata: { ...app.metadata, annotations: { ...annotations, [ROLLBACK_TO]: value } },
      }
      expect(() => imageRequest(broken, pinned(), NOW_MS, undefined)).toThrow(
        expect.objectContaining({
          reason: 'InvalidSpec',
          path: `metadata.annotations[${ROLLBACK_TO}]`,
        }) as Error,
      )
    },
  )
})
