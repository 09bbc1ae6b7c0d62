/** What runs, in the words of the status: counts, the last end, and why nothing is ready. Pure. */
import type { AppStatus } from '../crd/status.ts'
import type { NextCondition } from '../crd/conditions.ts'
import { isAlive, lastRun } from './plan.ts'
import type { Facts } from './status-facts.ts'
import type { ObservedInstance } from './types.ts'

/** The instance that should run. Of a settled app that is whatever is there, where its engine can't tell. */
export function targetOf(facts: Facts): ObservedInstance | undefined {
  if (facts.settled && facts.targetId === undefined)
    return facts.observed.instances.find(isAlive) ?? lastRun(facts.observed.instances)
  return facts.observed.instances.find(({ id }) => id === facts.targetId)
}

/** Why nothing runs: what the plan waits for, what the engine says, else how the last run ended. */
export function workloadTrouble(facts: Facts, instance: ObservedInstance | undefined): NextCondition {
  const told = facts.waiting ?? facts.observed.trouble
  if (told !== undefined) return trouble(told.reason, told.message)
  // A container that is starting again has not yet disproved how it ended before.
  const end = instance?.state === 'running' ? undefined : instance?.lastEnd
  if (end === undefined || end.reason === 'Stopped' || end.reason === 'Rebooted' || end.reason === 'Lost')
    return trouble('Starting', 'the container is being started')
  const again = facts.wakeAtMs === undefined ? '' : `; next start ${new Date(facts.wakeAtMs).toISOString()}`
  const looping = (instance?.failures ?? 0) > 1 && end.reason === 'Exited'
  return trouble(looping ? 'CrashLoopBackOff' : end.reason, `${end.message}${again}`)
}

function trouble(reason: string, message: string): NextCondition {
  return { type: '', status: 'False', reason, message }
}

export function workloadStatus(facts: Facts): NonNullable<AppStatus['workload']> {
  const { observed } = facts
  const alive = observed.instances.filter(isAlive)
  const shown = alive[0] ?? lastRun(observed.instances)
  const ended = shown?.lastEnd
  const last = ended === undefined ? facts.previous?.workload?.lastTermination : terminationStatus(ended)
  const target = targetOf(facts)
  const readyRevision =
    target?.state === 'running' ? target.revision : facts.previous?.workload?.readyRevision
  const addresses = facts.addresses ?? facts.previous?.workload?.addresses ?? []
  return {
    replicas: observed.workload?.replicas ?? alive.length,
    ready: observed.workload?.ready ?? alive.filter(({ state }) => state === 'running').length,
    ...(shown === undefined ? {} : { revision: shown.revision, restarts: shown.restarts }),
    ...(readyRevision === undefined ? {} : { readyRevision }),
    ...(observed.workload === undefined ? {} : { selector: observed.workload.selector }),
    ...(addresses.length === 0 ? {} : { addresses: addresses.slice(0, 64) }),
    ...(last === undefined ? {} : { lastTermination: last }),
  }
}

function terminationStatus(end: NonNullable<ObservedInstance['termination']>) {
  return {
    exitCode: end.exitCode,
    ...(end.exitCode > 128 && end.exitCode < 193 ? { signal: end.exitCode - 128 } : {}),
    reason: end.reason,
    message: end.message,
    finishedAt: new Date(end.finishedAtMs).toISOString(),
  }
}
