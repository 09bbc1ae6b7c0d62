import { describe, expect, test } from 'vitest'
import {
  FIRST_MOMENT_MS,
  judge,
  SAME_FAILURE_MS,
  STEADY_MS,
  type Expectation,
  type Seen,
} from '../../src/cli/expectation.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import type { StoredApp } from '../../src/reconcile/ports.ts'
import { condition, keyOf, NOON, runningStatus } from './prepared-state.ts'

const KEY = keyOf('app')
const STALLED = [
  condition('Ready', 'False', 'ExecNotFound', 'no /app'),
  condition('Stalled', 'True', 'ExecNotFound', 'no /app'),
]
const UNRESOLVED = [
  condition('Ready', 'True', 'Running'),
  condition('ImageResolved', 'False', 'RegistryUnavailable', 'is down; what was pinned stays'),
]

/** Runs again, after an end of its own or one that was not its fault. */
function restarted(reason = 'Exited', restarts = 1): AppStatus {
  const lastTermination = { reason, exitCode: 1, message: 'ended with exit code 1', finishedAt: NOON }
  return runningStatus({ workload: { revision: 'r1', restarts, lastTermination } })
}

function stored(status: AppStatus | undefined, deletion?: StoredApp['deletion']): StoredApp {
  return { key: KEY, baseDir: '/', resource: {}, generation: 1, status, deletion }
}

function expected(change: Partial<Expectation> = {}): Expectation {
  return { key: KEY, generation: 1, before: undefined, ...change }
}

function seen(status: AppStatus | undefined, change: Partial<Seen> = {}): Seen {
  return { stored: stored(status), isUp: true, idleMs: FIRST_MOMENT_MS, ...change }
}

describe('an app is', () => {
  test.each(['HookFailed', 'ImageNotFound', 'RegistryUnauthorized', 'PlatformNotFound', 'DiskFull'])(
    'failed at once by %s, which waiting does not mend',
    (reason) => {
      expect(
        judge(expected(), seen(runningStatus({ conditions: [condition('Ready', 'False', reason)] }))),
      ).toMatchObject({ kind: 'failed', reason })
    },
  )

  test.each<[string, Expectation, Seen, string, string?]>([
    ['ready when it runs', expected(), seen(runningStatus()), 'ready'],
    [
      'not ready in its first moment: the program may end at once',
      expected(),
      seen(runningStatus(), { idleMs: FIRST_MOMENT_MS - 1 }),
      'waiting',
      'Started',
    ],
    [
      'ready at once when it ran before the command',
      expected({ before: runningStatus() }),
      seen(runningStatus(), { idleMs: 0 }),
      'ready',
    ],
    ['not ready before a controller looked', expected(), seen(undefined), 'waiting', 'Progressing'],
    [
      'not ready while only the generation before was seen',
      expected({ generation: 2 }),
      seen(runningStatus()),
      'waiting',
      'Progressing',
    ],
    [
      'not ready by an old word of a container that is gone',
      expected(),
      seen(runningStatus(), { isUp: false }),
      'waiting',
      'Progressing',
    ],
    [
      'ready without a container when it is suspended',
      expected(),
      seen(runningStatus({ conditions: [condition('Ready', 'True', 'Suspended')] }), { isUp: false }),
      'ready',
    ],
    [
      'not ready when it has just come up after a crash',
      expected(),
      seen(restarted()),
      'waiting',
      'Restarted',
    ],
    ['ready when it stays up after a crash', expected(), seen(restarted(), { idleMs: STEADY_MS }), 'ready'],
    [
      'ready at once when it crashed before the wait',
      expected({ before: restarted() }),
      seen(restarted()),
      'ready',
    ],
    [
      'ready at once when the crash was of another revision',
      expected(),
      seen(restarted('Exited', 0)),
      'ready',
    ],
    ['ready at once after a reboot', expected(), seen(restarted('Rebooted')), 'ready'],
    [
      'waiting while it crashes',
      expected(),
      seen(runningStatus({ conditions: [condition('Ready', 'False', 'CrashLoopBackOff')] })),
      'waiting',
      'CrashLoopBackOff',
    ],
    [
      'failed when it is stalled',
      expected(),
      seen(runningStatus({ conditions: STALLED })),
      'failed',
      'ExecNotFound',
    ],
    [
      'failed when a hook failed',
      expected(),
      seen(runningStatus({ conditions: [condition('Ready', 'False', 'HookFailed')] })),
      'failed',
      'HookFailed',
    ],
    [
      'not failed by what was said of an older generation',
      expected({ generation: 2 }),
      seen(runningStatus({ conditions: STALLED })),
      'waiting',
    ],
    [
      'not failed by a failure from before the command',
      expected({ before: runningStatus({ conditions: STALLED }) }),
      seen(runningStatus({ conditions: STALLED })),
      'waiting',
      'ExecNotFound',
    ],
    [
      'failed when the same failure stays',
      expected({ before: runningStatus({ conditions: STALLED }) }),
      seen(runningStatus({ conditions: STALLED }), { idleMs: SAME_FAILURE_MS }),
      'failed',
      'ExecNotFound',
    ],
    [
      'failed when it fails otherwise than before',
      expected({
        before: runningStatus({ conditions: [condition('Stalled', 'True', 'UserNotFound', 'other')] }),
      }),
      seen(runningStatus({ conditions: STALLED })),
      'failed',
      'ExecNotFound',
    ],
    [
      'not restarted while the old container runs',
      expected({ otherRevisionThan: 'r1' }),
      seen(runningStatus()),
      'waiting',
    ],
    [
      'restarted when another one runs',
      expected({ otherRevisionThan: 'r0' }),
      seen(runningStatus()),
      'ready',
    ],
    ['not rebuilt while the request is open', expected({ request: 'now' }), seen(runningStatus()), 'waiting'],
    [
      'not rebuilt by an older request',
      expected({ request: 'now' }),
      seen(runningStatus({ lastHandledRequest: 'before' })),
      'waiting',
    ],
    [
      'rebuilt when the request is answered',
      expected({ request: 'now' }),
      seen(runningStatus({ lastHandledRequest: 'now' })),
      'ready',
    ],
    [
      'not rebuilt when the source can not be asked',
      expected({ request: 'now' }),
      seen(runningStatus({ conditions: UNRESOLVED })),
      'failed',
      'RegistryUnavailable',
    ],
    [
      'ready although the source can not be asked, when nobody asked',
      expected(),
      seen(runningStatus({ conditions: UNRESOLVED })),
      'ready',
    ],
    [
      'failed when it was removed meanwhile',
      expected(),
      { stored: undefined, isUp: false, idleMs: 0 },
      'failed',
      'NotFound',
    ],
    [
      'failed when it is being removed',
      expected(),
      { stored: stored(runningStatus(), { allVolumes: false }), isUp: true, idleMs: 0 },
      'failed',
      'NotFound',
    ],
  ])('%s', (_title, expectation, look, kind, reason) => {
    const before = structuredClone({ expectation, look })
    const verdict = judge(expectation, look)
    expect(verdict.kind).toBe(kind)
    expect(verdict).toMatchObject(reason === undefined ? {} : { reason })
    expect({ expectation, look }).toEqual(before)
  })
})
