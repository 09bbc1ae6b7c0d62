/** A new revision that can not be: the old one keeps running, and the status says why (rules R7, H7). */
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { conditions, edit, fresh, kinds, NEXT, pass, running, theOnly } from './passes.ts'
import type { World } from './world.ts'

const WRONG_ENTRYPOINT = {
  severity: 'error',
  reason: 'ExecNotFound',
  path: 'spec.command[0]',
  message: 'no such file',
} as const

describe('what is refused', () => {
  const AVAILABLE = ['Ready', 'Stalled', 'WorkloadAvailable']
  const cases: [string, (world: World) => void, string][] = [
    [
      'an image that does not exist',
      (world) => edit(world, { image: 'example.com/gone:1' }),
      'ImageNotFound',
    ],
    [
      'an entrypoint that is not there',
      (world) => {
        edit(world, { command: ['/gone'] })
        world.issues = [WRONG_ENTRYPOINT]
      },
      'ExecNotFound',
    ],
    ['a user that the image lacks', (world) => edit(world, { user: 'nobody-here' }), 'UserNotFound'],
    [
      'a Secret that is not there',
      (world) => edit(world, { envFrom: [{ secretRef: { name: 'gone' } }] }),
      'NotFound',
    ],
    ['a volume over a file', (world) => edit(world, { volumes: [{ path: '/app' }] }), 'VolumeNotDirectory'],
    [
      'a field that one host can not honour',
      (world) => edit(world, { ports: [{ port: 80, hostPort: 8080 }] }),
      'UnsupportedField',
    ],
    ['a document that is not valid', (world) => edit(world, { nonsense: true }), 'InvalidSpec'],
  ]

  test.each(cases)('%s leaves the old revision running', async (_title, change, reason) => {
    const world = await running()
    const before = theOnly(world)
    change(world)
    const outcome = await pass(world)
    expect(kinds(world)).toEqual(['keep'])
    expect(theOnly(world)).toBe(before)
    expect(conditions(world, AVAILABLE)).toEqual([
      `Ready=False/${reason}`,
      `Stalled=True/${reason}`,
      'WorkloadAvailable=True/Running',
    ])
    expect(outcome.retry).toBeUndefined()
  })

  test.each(cases)('%s starts the old revision again when it ends', async (_title, change) => {
    const world = await running()
    change(world)
    await pass(world)
    world.end(theOnly(world))
    await pass(world)
    expect(kinds(world)).toEqual(['record-end', 'start'])
  })

  test.each(cases)('%s makes nothing in a new app', async (_title, change, reason) => {
    const world = fresh()
    change(world)
    await pass(world)
    expect(world.steps()).toEqual([])
    expect(conditions(world, AVAILABLE)).toEqual([
      `Ready=False/${reason}`,
      `Stalled=True/${reason}`,
      'WorkloadAvailable=False/Pending',
    ])
  })

  test('recovers with the next good edit', async () => {
    const world = await running()
    edit(world, { image: 'example.com/gone:1' })
    await pass(world)
    edit(world, { image: NEXT })
    await pass(world)
    expect(conditions(world, AVAILABLE)).toEqual([
      'Ready=True/Running',
      'no Stalled',
      'WorkloadAvailable=True/Running',
    ])
  })
})

describe('a step that fails', () => {
  const failure = (reason: 'DiskFull' | 'RuntimeFailed') =>
    new ExpectedError(reason, 'why', { retry: 'backoff' })
  test.each<[string, 'DiskFull' | 'RuntimeFailed', string[]]>([
    ['execute ensure-volume', 'DiskFull', ['ensure-volume']],
    ['execute prepare', 'DiskFull', ['ensure-volume', 'ensure-volume', 'prepare']],
  ])('%s does not stop the old revision', async (step, reason, done) => {
    const world = await running()
    world.imageVolumes = ['/data', '/logs']
    edit(world, { image: NEXT })
    world.failures.set(step, failure(reason))
    const outcome = await pass(world)
    expect(kinds(world)).toEqual(done)
    expect([...world.instances.values()].map(({ state }) => state)).toEqual(['running'])
    expect(conditions(world, ['Ready', 'WorkloadAvailable'])).toEqual([
      `Ready=False/${reason}`,
      'WorkloadAvailable=True/Running',
    ])
    expect(outcome.retry?.reason).toBe(reason)
  })

  test('a stop that fails starts nothing', async () => {
    const world = await running()
    edit(world, { image: NEXT })
    world.failures.set('execute stop', failure('RuntimeFailed'))
    await pass(world)
    expect(kinds(world).at(-1)).toBe('stop')
    expect(world.violations).toEqual([])
  })

  test('goes through once the cause is gone', async () => {
    const world = await running()
    edit(world, { image: NEXT })
    world.failures.set('execute start', failure('RuntimeFailed'))
    await pass(world)
    expect(conditions(world, ['Ready', 'Reconciling'])).toEqual([
      'Ready=False/RuntimeFailed',
      'Reconciling=True/Progressing',
    ])
    world.failures.clear()
    await pass(world)
    expect(conditions(world, ['Ready', 'Reconciling'])).toEqual(['Ready=True/Running', 'no Reconciling'])
  })
})
