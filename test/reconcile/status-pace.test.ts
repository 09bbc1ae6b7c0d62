import { expect, test } from 'vitest'
import type { AppStatus } from '../../src/crd/status.ts'
import { tellAtMs } from '../../src/reconcile/status-pace.ts'
import { digest, NOW_MS } from '../support/builders.ts'

const BEGAN = new Date(NOW_MS).toISOString()

interface Words {
  readonly ready?: string
  readonly resolved?: 'True' | 'False'
  readonly reconciling?: boolean
  readonly image?: string
  readonly generation?: number
  readonly request?: string
}

function told(words: Words = {}): AppStatus {
  const { ready = 'Progressing', resolved = 'True', reconciling = true, image = 'a1', generation = 1 } = words
  const common = { lastTransitionTime: BEGAN, observedGeneration: generation, message: '' }
  return {
    observedGeneration: generation,
    image: {
      reference: 'example.com/a:1',
      canonical: 'example.com/a:1',
      digest: digest(image),
      resolvedAt: BEGAN,
    },
    ...(words.request === undefined ? {} : { lastHandledRequest: words.request }),
    conditions: [
      { type: 'Ready', status: ready === 'Running' ? 'True' : 'False', reason: ready, ...common },
      { type: 'ImageResolved', status: resolved, reason: 'Resolved', ...common },
      ...(reconciling
        ? [{ type: 'Reconciling', status: 'True' as const, reason: 'Progressing', ...common }]
        : []),
    ],
  }
}

const SOON = NOW_MS + 500

test.each<[string, AppStatus | undefined, AppStatus, number]>([
  ['the first status', undefined, told(), SOON],
  ['the end', told(), told({ ready: 'Running', reconciling: false }), SOON],
  ['what went wrong', told(), told({ ready: 'Unschedulable' }), SOON],
  ['an app that makes no progress', told(), told({ reconciling: false }), SOON],
  ['the begin', told({ ready: 'Running', reconciling: false }), told(), SOON],
  ['a failed question', told(), told({ resolved: 'False' }), SOON],
  ['another digest', told(), told({ image: 'b2' }), SOON],
  ['an edit that was taken', told(), told({ generation: 2 }), SOON],
  ['a request that was handled', told(), told({ request: '2' }), SOON],
  ['a rollout that has gone on for a while', told(), told({ ready: 'Starting' }), NOW_MS + 2000],
  ['anything after the clock was set back', told(), told({ ready: 'Starting' }), NOW_MS - 1],
])('%s is told at once', (_title, before, after, nowMs) => {
  expect(tellAtMs(before, after, nowMs)).toBeUndefined()
})

test.each(['Progressing', 'Starting'])(
  'a step of a rollout (%s) is told two seconds after its begin',
  (ready) => {
    expect(tellAtMs(told(), told({ ready }), SOON)).toBe(NOW_MS + 2000)
    expect(tellAtMs(told({ ready: 'Starting' }), told({ ready }), NOW_MS)).toBe(NOW_MS + 2000)
  },
)
