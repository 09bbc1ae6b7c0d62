import { describe, expect, test } from 'vitest'
import { eventsOf } from '../../src/reconcile/events.ts'
import { settledStatus, statusOf } from '../../src/reconcile/status.ts'
import type { Facts } from '../../src/reconcile/status-facts.ts'
import { digest } from '../support/builders.ts'
import { facts, IMAGE } from './facts.ts'

const SINCE = '2026-02-28T03:00:00.000Z'
const gone = (of: typeof IMAGE.digest) => [{ digest: of, host: 'example.com', since: SINCE }]
const TARGET = digest('b2')
const RAN = { digest: TARGET, reference: 'example.com/mattermost:10.11', resolvedAt: SINCE }

function before(changes: Partial<Facts> = {}) {
  return statusOf(facts(changes))
}

function withHistory() {
  const status = before()
  const image = status.image === undefined ? undefined : { ...status.image, history: [RAN] }
  return { ...status, ...(image === undefined ? {} : { image }) }
}

describe('PinnedImageGone', () => {
  test('names digest, place, since when and what would help; everything else is as before', () => {
    const status = before({ gone: gone(IMAGE.digest) })
    const { conditions: told = [] } = status
    const { conditions: usual = [] } = before()
    expect(told.filter(({ type }) => type !== 'PinnedImageGone')).toEqual(usual)
    const condition = told.find(({ type }) => type === 'PinnedImageGone')
    expect(condition).toMatchObject({ status: 'True', reason: 'PinnedImageGone' })
    for (const words of [
      'example.com',
      IMAGE.digest,
      SINCE,
      'ush it again',
      'mirror',
      'noticed',
      'name another image in spec.image',
    ])
      expect(condition?.message).toContain(words)
    expect(condition?.message).not.toContain('rebuild')
    expect(status.image?.gone).toEqual(gone(IMAGE.digest))
  })

  test('advises a rebuild only where the tag names a digest that is there', () => {
    const movedTo = { digest: TARGET }
    const message = (changes: Partial<Facts>) =>
      before({ movedTo, ...changes }).conditions?.find(({ type }) => type === 'PinnedImageGone')?.message
    expect(message({ gone: gone(IMAGE.digest) })).toContain('names now: fairlead rebuild mattermost')
    const both = { previous: withHistory(), gone: [...gone(IMAGE.digest), ...gone(TARGET)] }
    expect(message(both)).toContain('push them again or name a mirror that still has them')
    expect(message(both)).not.toContain('rebuild')
  })

  test.each(['oci:/srv/images', 'oci-archive:/srv/app.tar'])('of %s names no mirror', (host) => {
    const status = before({ gone: [{ digest: IMAGE.digest, host, since: SINCE }] })
    const message = status.conditions?.find(({ type }) => type === 'PinnedImageGone')?.message ?? ''
    expect(message).toContain('put it back there')
    expect(message).not.toMatch(/mirror|push/)
  })

  test('of a rollback target says that only the way back is lost', () => {
    const status = before({ previous: withHistory(), gone: gone(TARGET) })
    const message = status.conditions?.find(({ type }) => type === 'PinnedImageGone')?.message ?? ''
    expect(message).toContain(`${TARGET} (a rollback target;`)
    expect(message).not.toContain('rebuild')
  })

  test('is absent where all is there, and of digests that nobody needs', () => {
    for (const status of [before({ gone: [] }), before({ gone: gone(digest('ee')) }), before()]) {
      expect(status.conditions?.map(({ type }) => type)).not.toContain('PinnedImageGone')
      expect(status.image).not.toHaveProperty('gone')
    }
  })

  test('stays through passes that ask nobody, settled ones too, and goes when it is back', () => {
    const previous = before({ gone: gone(IMAGE.digest) })
    expect(statusOf(facts({ previous }))).toEqual(previous)
    expect(settledStatus(facts({ settled: true, previous }), previous).image?.gone).toEqual(
      gone(IMAGE.digest),
    )
    const back = settledStatus(facts({ settled: true, previous, gone: [] }), previous)
    expect(back.conditions?.map(({ type }) => type)).not.toContain('PinnedImageGone')
    expect(back.image).not.toHaveProperty('gone')
  })
})

describe('events', () => {
  const told = (...[from, to]: Parameters<typeof eventsOf>) =>
    eventsOf(from, to).map(({ type, reason }) => `${type} ${reason}`)
  const healthy = withHistory()
  const lost = before({ previous: healthy, gone: gone(TARGET) })
  const both = before({ previous: healthy, gone: [...gone(TARGET), ...gone(IMAGE.digest)] })

  test.each([
    ['when the first is gone', healthy, lost, ['Warning PinnedImageGone']],
    ['when another one is gone', lost, both, ['Warning PinnedImageGone']],
    ['not while it stays', lost, lost, []],
    ['not when one of two is back', both, lost, []],
    ['when all are back', both, healthy, ['Normal PinnedImageBack']],
  ])('%s', (_when, from, to, expected) => {
    expect(told(from, to)).toEqual(expected)
  })
})
