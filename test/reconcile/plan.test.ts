import { describe, expect, test } from 'vitest'
import { KUBERNETES_BACKOFF } from '../../src/reconcile/backoff.ts'
import { lastRun, planKeepLast, planRemoval, planSteps, type PlanTarget } from '../../src/reconcile/plan.ts'
import type { Observed, ObservedInstance, Plan, Step, Termination } from '../../src/reconcile/types.ts'
import { anEnd, anInstance, aStoredVolume, aVolume, frozen, NOW_MS, observed } from '../support/builders.ts'

const DATA = aVolume('/data')
const TARGET: PlanTarget = frozen({ id: 'new', volumes: [DATA], running: true })
const SUSPENDED: PlanTarget = frozen({ ...TARGET, running: false })

/** A plan as words: `stop old`, `start new#2`, `wake +9000`. */
function words({ steps, wakeAtMs }: Plan): string[] {
  return [...steps.map(word), ...(wakeAtMs === undefined ? [] : [`wake +${wakeAtMs - NOW_MS}`])]
}

function word(step: Step): string {
  if (step.kind === 'ensure-volume') return `volume ${step.volume.path}`
  if (step.kind === 'remove-volume') return `remove-volume ${step.path}`
  if (step.kind === 'start') return `start ${step.id}#${step.run}`
  if (step.kind === 'record-end')
    return `record ${step.id} failures=${step.failures} restarts=${step.restarts}`
  return `${step.kind} ${step.id}`
}

function plan(target: PlanTarget, instances: readonly ObservedInstance[]): string[] {
  return words(planSteps(target, frozen(observed({ instances })), KUBERNETES_BACKOFF, NOW_MS))
}

function old(state: ObservedInstance['state'], changes: Partial<ObservedInstance> = {}): ObservedInstance {
  return anInstance(state, { id: 'old', revision: 'old', ...changes })
}

describe('planSteps', () => {
  test.each<[string, PlanTarget, ObservedInstance[], string[]]>([
    ['makes everything of a new app', TARGET, [], ['volume /data', 'prepare new', 'start new#1']],
    ['makes all but the start of a suspended new app', SUSPENDED, [], ['volume /data', 'prepare new']],
    ['keeps what runs', TARGET, [anInstance('running')], ['keep new']],
    ['keeps what is starting', TARGET, [anInstance('starting')], ['keep new']],
    ['starts what a crash left prepared', TARGET, [anInstance('prepared')], ['volume /data', 'start new#1']],
    [
      'repeats a launch that never happened',
      TARGET,
      [anInstance('prepared', { run: 3 })],
      ['volume /data', 'start new#4'],
    ],
    ['stops what is suspended', SUSPENDED, [anInstance('running')], ['stop new']],
    ['stops what is still starting when suspended', SUSPENDED, [anInstance('starting')], ['stop new']],
    ['leaves a suspended app that ended as it is', SUSPENDED, [anInstance('ended')], ['volume /data']],
    [
      'prepares the new revision before it stops the old one',
      TARGET,
      [old('running')],
      ['volume /data', 'prepare new', 'stop old', 'remove-instance old', 'start new#1'],
    ],
    [
      'stops an old revision that is only starting',
      TARGET,
      [old('starting')],
      ['volume /data', 'prepare new', 'stop old', 'remove-instance old', 'start new#1'],
    ],
    [
      'removes an old revision that ended without stopping it',
      TARGET,
      [old('ended')],
      ['volume /data', 'prepare new', 'remove-instance old', 'start new#1'],
    ],
    [
      'removes an old revision that never ran',
      TARGET,
      [old('prepared')],
      ['volume /data', 'prepare new', 'remove-instance old', 'start new#1'],
    ],
    [
      'goes on with a switch that was cut off after preparing',
      TARGET,
      [old('running'), anInstance('prepared')],
      ['volume /data', 'stop old', 'remove-instance old', 'start new#1'],
    ],
    [
      'ends a rival of what runs already',
      TARGET,
      [old('running'), anInstance('running')],
      ['stop old', 'remove-instance old'],
    ],
    [
      'switches the revision of a suspended app without a start',
      SUSPENDED,
      [old('ended')],
      ['volume /data', 'prepare new', 'remove-instance old'],
    ],
    [
      'stops the old revision of an app that is suspended and changed at once',
      SUSPENDED,
      [old('running')],
      ['volume /data', 'prepare new', 'stop old', 'remove-instance old'],
    ],
    [
      'replaces many old revisions',
      TARGET,
      [old('running', { id: 'a' }), old('ended', { id: 'b' }), old('starting', { id: 'c' })],
      [
        'volume /data',
        'prepare new',
        'stop a',
        'remove-instance a',
        'remove-instance b',
        'stop c',
        'remove-instance c',
        'start new#1',
      ],
    ],
  ])('%s', (_title, target, instances, expected) => {
    expect(plan(target, instances)).toEqual(expected)
  })

  test('makes the volumes in the order of the target, before anything else', () => {
    const volumes = [aVolume('/data'), aVolume('/data/plugins'), aVolume('/logs')]
    const steps = words(planSteps({ ...TARGET, volumes }, observed(), KUBERNETES_BACKOFF, NOW_MS))
    expect(steps.slice(0, 4)).toEqual(['volume /data', 'volume /data/plugins', 'volume /logs', 'prepare new'])
  })

  const STATES = ['prepared', 'starting', 'running', 'ended'] as const
  const PAIRS = STATES.flatMap((mine) => STATES.map((other) => [mine, other] as const))
  test.each(PAIRS)('never starts while another container lives: new %s, old %s', (mine, other) => {
    const steps = planSteps(
      TARGET,
      observed({ instances: [old(other), anInstance(mine)] }),
      KUBERNETES_BACKOFF,
      NOW_MS,
    ).steps
    const start = steps.findIndex(({ kind }) => kind === 'start')
    const stop = steps.findIndex((step) => step.kind === 'stop' && step.id === 'old')
    const lives = other === 'running' || other === 'starting'
    expect(stop >= 0).toBe(lives)
    expect(start >= 0).toBe(mine === 'prepared' || mine === 'ended')
    expect(start === -1 || stop < start).toBe(true)
  })
})

describe('a container that ended', () => {
  const end = (changes: Partial<Termination>, more: Partial<ObservedInstance> = {}) =>
    anInstance('ended', { termination: anEnd(changes), ...more })
  const recorded = (failures: number, finishedSecondsAgo: number) =>
    end(
      { finishedAtMs: NOW_MS - finishedSecondsAgo * 1000 },
      { run: failures, failures, restarts: failures, recorded: true },
    )

  test.each<[string, ObservedInstance, string[]]>([
    ['starts at once after the first end', end({}), ['record new failures=1 restarts=1', 'start new#2']],
    [
      'counts an end before it waits',
      end({}, { run: 2, failures: 1, restarts: 1 }),
      ['record new failures=2 restarts=2', 'wake +9000'],
    ],
    ['does not count an end again after a crash of the controller', recorded(2, 1), ['wake +9000']],
    ['starts when the wait is over to the millisecond', recorded(2, 10), ['start new#3']],
    ['waits a millisecond before that', recorded(2, 9.999), ['wake +1']],
    ['waits twice as long the next time', recorded(3, 1), ['wake +19000']],
    ['never waits longer than five minutes', recorded(50, 1), ['wake +299000']],
    [
      'forgets failures after ten minutes of running',
      end({ startedAtMs: NOW_MS - 601_000 }, { run: 9, failures: 8, restarts: 8 }),
      ['record new failures=1 restarts=9', 'start new#10'],
    ],
    [
      'remembers failures after a run just short of ten minutes',
      end({ startedAtMs: NOW_MS - 600_999 }, { run: 3, failures: 2, restarts: 2 }),
      ['record new failures=3 restarts=3', 'wake +19000'],
    ],
    [
      'counts a clean end like any other',
      end({ exitCode: 0 }, { run: 2, failures: 1, restarts: 1 }),
      ['record new failures=2 restarts=2', 'wake +9000'],
    ],
    ...(['Stopped', 'Rebooted'] as const).map((reason): [string, ObservedInstance, string[]] => [
      `starts at once after the end ${reason}, whatever failed before`,
      end({ reason }, { run: 6, failures: 5, restarts: 5 }),
      ['record new failures=0 restarts=6', 'start new#7'],
    ]),
    ...(['HookFailed', 'OutOfMemory', 'RuntimeFailed', 'Lost'] as const).map(
      (reason): [string, ObservedInstance, string[]] => [
        `waits after the second end ${reason}`,
        end({ reason }, { run: 2, failures: 1, restarts: 1 }),
        ['record new failures=2 restarts=2', 'wake +9000'],
      ],
    ),
    [
      'starts at once when the clock was set back behind the end',
      end({ finishedAtMs: NOW_MS + 3_600_000 }, { run: 3, failures: 3, restarts: 3, recorded: true }),
      ['start new#4'],
    ],
  ])('%s', (_title, instance, expected) => {
    expect(plan({ ...TARGET, volumes: [] }, [instance])).toEqual(expected)
  })

  test('looks after its volumes before it starts again', () => {
    expect(plan(TARGET, [end({ reason: 'Lost' })])).toEqual([
      'volume /data',
      'record new failures=1 restarts=1',
      'start new#2',
    ])
  })

  test('waits with other settings of the operator', () => {
    const backoff = { initialMs: 100, maxMs: 300, resetMs: 1000 }
    const waits = [1, 2, 3, 4, 5].map((failures) => {
      const instance = recorded(failures, 0)
      return planSteps({ ...TARGET, volumes: [] }, observed({ instances: [instance] }), backoff, NOW_MS)
        .wakeAtMs
    })
    expect(waits).toEqual([undefined, NOW_MS + 100, NOW_MS + 200, NOW_MS + 300, NOW_MS + 300])
  })
})

describe('planKeepLast', () => {
  const keep = (instances: readonly ObservedInstance[], running = true) =>
    words(planKeepLast(frozen(observed({ instances })), running, KUBERNETES_BACKOFF, NOW_MS))

  test.each<[string, ObservedInstance[], boolean, string[]]>([
    ['does nothing for an app that never ran', [], true, []],
    ['does not start what was only prepared', [anInstance('prepared')], true, []],
    ['keeps the old revision that runs', [old('running'), anInstance('prepared')], true, ['keep old']],
    [
      'starts the old revision again when it ends',
      [old('ended')],
      true,
      ['record old failures=1 restarts=1', 'start old#2'],
    ],
    [
      'waits with the old revision as with any',
      [old('ended', { failures: 4, restarts: 4, recorded: true })],
      true,
      ['wake +39000'],
    ],
    ['stops the old revision when the app is suspended', [old('running')], false, ['stop old']],
    ['keeps a stopped one stopped', [old('ended')], false, ['keep old']],
    [
      'goes back to the old revision that was stopped for a switch',
      [old('ended', { termination: anEnd({ reason: 'Stopped' }) }), anInstance('prepared')],
      true,
      ['record old failures=0 restarts=1', 'start old#2'],
    ],
    [
      'ends rivals of the one it keeps',
      [old('running', { startedAtMs: 1 }), anInstance('running', { startedAtMs: 2 })],
      true,
      ['stop old'],
    ],
    [
      'prefers one that lives to a later one that ended',
      [old('running', { startedAtMs: 1 }), anInstance('ended', { startedAtMs: 2 })],
      true,
      ['keep old'],
    ],
  ])('%s', (_title, instances, running, expected) => {
    expect(keep(instances, running)).toEqual(expected)
  })

  test('never prepares, never removes, never touches a volume', () => {
    const states = ['prepared', 'starting', 'running', 'ended'] as const
    const kinds = states.flatMap((a) =>
      states.flatMap((b) =>
        [true, false].flatMap((running) =>
          planKeepLast(
            observed({ instances: [old(a), anInstance(b)] }),
            running,
            KUBERNETES_BACKOFF,
            NOW_MS,
          ).steps.map(({ kind }) => kind),
        ),
      ),
    )
    expect(new Set(kinds)).toEqual(new Set(['keep', 'stop', 'start', 'record-end']))
  })
})

describe('planRemoval', () => {
  const WORLD: Observed = frozen(
    observed({
      instances: [old('ended'), anInstance('running')],
      volumes: [aStoredVolume('/data'), aStoredVolume('/cache', { retain: 'Delete' })],
    }),
  )
  const removal = (world: Observed, all: boolean) => planRemoval(world, all).map(word)

  test('keeps volumes but those that the spec gives up', () => {
    expect(removal(WORLD, false)).toEqual([
      'remove-instance old',
      'stop new',
      'remove-instance new',
      'remove-volume /cache',
    ])
  })

  test('removes every volume when told so', () => {
    expect(removal(WORLD, true)).toEqual([
      'remove-instance old',
      'stop new',
      'remove-instance new',
      'remove-volume /data',
      'remove-volume /cache',
    ])
  })

  test('stops everything that lives before any volume goes', () => {
    const steps = planRemoval(
      observed({
        instances: [old('starting'), anInstance('running')],
        volumes: [aStoredVolume('/data', { retain: 'Delete' })],
      }),
      false,
    )
    const lastStop = steps.findLastIndex(({ kind }) => kind === 'stop')
    expect(steps.findIndex(({ kind }) => kind === 'remove-volume')).toBeGreaterThan(lastStop)
  })

  test('has nothing to do where nothing is', () => {
    expect(planRemoval(observed(), true)).toEqual([])
  })
})

describe('lastRun', () => {
  test('does not change the order of what it is given', () => {
    const instances = frozen([old('ended', { startedAtMs: 1 }), anInstance('running', { startedAtMs: 2 })])
    expect(lastRun(instances)?.id).toBe('new')
    expect(instances.map(({ id }) => id)).toEqual(['old', 'new'])
  })
})
