import { describe, expect, test } from 'vitest'
import { preflightResult } from '../../../src/reconcile/kubernetes/preflight-report.ts'
import type { ObservedPod } from '../../../src/reconcile/kubernetes/types.ts'
import { digest } from '../../support/builders.ts'
import { aContainer, aSeenPod } from './seen.ts'

const PIN = digest('a1')
const PATHS = ['/data', '/logs']

function over(message: unknown, changes: Partial<ObservedPod> = {}): ObservedPod {
  const text = typeof message === 'string' || message === undefined ? message : JSON.stringify(message)
  const container = aContainer({ name: 'preflight', state: 'terminated', exitCode: 0, message: text })
  return aSeenPod({
    role: 'preflight',
    phase: 'Succeeded',
    taskPaths: PATHS,
    containers: [container],
    ...changes,
  })
}

describe('the report of a preflight pod', () => {
  test('says what was done and what the mounts allow, in the order of the task', () => {
    const note = 'not kept on /logs: 3 owners'
    const { facts, error } = preflightResult(over({ version: 1, volumes: ['cx', 'on'], note }), PIN)
    expect(Object.fromEntries(facts)).toEqual({
      '/data': { seeded: PIN, exec: 'exec' },
      '/logs': { seeded: 'empty', exec: 'noexec', lost: note },
    })
    expect(error).toBeUndefined()
  })

  test.each([
    [
      'each volume has its part',
      'not kept on /logs: 1 owner; not kept on /data: 2 owners',
      '2 owners',
      '1 owner',
    ],
    ['a part that was cut is the first one’s', 'not kept on /lo…', 'not kept on /lo…', undefined],
    ['nobody can print it', 'not kept on /data: \u001b[2J', '\\u001b[2J', undefined],
  ])('of what was lost: %s', (_title, note, data, logs) => {
    const { facts } = preflightResult(over({ version: 1, volumes: ['cx', 'cx'], note }), PIN)
    const lost = (path: string) => facts.get(path)?.lost?.replace(`not kept on ${path}: `, '')
    expect([lost('/data'), lost('/logs')]).toEqual([data, logs])
  })

  test('tells content that was there from content that was copied, and nothing from what was not tried', () => {
    const { facts } = preflightResult(over({ version: 1, volumes: ['k?', '-x'] }), PIN)
    expect(Object.fromEntries(facts)).toEqual({
      '/data': { seeded: 'kept', exec: undefined },
      '/logs': { seeded: undefined, exec: 'exec' },
    })
  })

  test('of a run that failed says what was done before it failed', () => {
    const report = {
      version: 1,
      volumes: ['cx', '-?'],
      error: { reason: 'DiskFull', message: 'no space\nleft', path: '/logs' },
    }
    const { facts, error } = preflightResult(over(report, { phase: 'Failed' }), PIN)
    expect(facts.get('/data')).toEqual({ seeded: PIN, exec: 'exec' })
    expect(error).toMatchObject({
      reason: 'DiskFull',
      retry: 'backoff',
      message: '/logs: no space\\u000aleft',
    })
  })

  test.each<[string, unknown]>([
    ['is missing', undefined],
    ['is cut off', '{"version":1,"volumes":["cx"'],
    ['is of another version', { version: 2, volumes: ['cx', 'cx'] }],
    ['has too few volumes', { version: 1, volumes: ['cx'] }],
    ['has too many volumes', { version: 1, volumes: ['cx', 'cx', 'cx'] }],
    ['has an entry of other letters', { version: 1, volumes: ['cx', 'zz'] }],
    ['has an entry that is no text', { version: 1, volumes: ['cx', 7] }],
    ['has a field that nobody knows', { version: 1, volumes: ['cx', 'cx'], more: 1 }],
    ['has a note that is no text', { version: 1, volumes: ['cx', 'cx'], note: {} }],
    [
      'gives a reason outside the set',
      { version: 1, volumes: ['cx', 'cx'], error: { reason: 'NotFound', message: '' } },
    ],
    ['gives an error without words', { version: 1, volumes: ['cx', 'cx'], error: { reason: 'SeedFailed' } }],
    ['is a list', []],
    ['is null', 'null'],
  ])('that %s is none', (_title, message) => {
    const { facts, error } = preflightResult(over(message), PIN)
    expect(error).toMatchObject({ reason: 'PreflightFailed', retry: 'backoff' })
    expect(facts.size).toBe(0)
  })

  test('a pod that failed although its report is good has failed', () => {
    const { error } = preflightResult(over({ version: 1, volumes: ['cx', 'cx'] }, { phase: 'Failed' }), PIN)
    expect(error?.reason).toBe('PreflightFailed')
  })

  test('without a report the kubelet is quoted, never the garbage itself', () => {
    const init = aContainer({
      name: 'write-holder',
      state: 'terminated',
      exitCode: 1,
      reason: 'Error',
      message: 'cp: no space',
    })
    const pod = over('\u0000garbage', { phase: 'Failed', reason: 'Evicted', initContainers: [init] })
    const message = preflightResult(pod, PIN).error?.message
    expect(message).toContain('Evicted')
    expect(message).toContain('write-holder ended with exit code 1: Error: cp: no space')
    expect(message).not.toContain('garbage')
  })

  test('without a report the end of our container counts, not that of the holder after it', () => {
    const holder = aContainer({ name: 'holder', state: 'terminated', exitCode: 143, reason: 'Error' })
    const ours = aContainer({ name: 'preflight', state: 'terminated', exitCode: 137, reason: 'OOMKilled' })
    const pod = over(undefined, { phase: 'Failed', initContainers: [holder], containers: [ours] })
    expect(preflightResult(pod, PIN).error?.message).toContain(
      'preflight ended with exit code 137: OOMKilled',
    )
  })
})
