/**
 * Says what was done (DESIGN §4): this and `status-conditions.ts` alone make conditions. Pure; equal facts give an equal status, so a
 * converged app is never written again (invariant 8).
 */
import {
  CONDITION_TYPES,
  IMAGE_RESOLVED,
  READY,
  RECONCILING,
  RENDERED,
  STALLED,
  VOLUMES_EXECUTABLE,
  findCondition,
  removeCondition,
  setCondition,
  type Condition,
  type NextCondition,
} from '../crd/conditions.ts'
import type { AppStatus, InventoryItem } from '../crd/status.ts'
import type { StoredApp } from './ports.ts'
import {
  availableCondition,
  condition,
  executableCondition,
  imageCondition,
  outdatedCondition,
  previousCondition,
  readyCondition,
  reconcilingCondition,
  renderedCondition,
  resolvedCondition,
  stalledCondition,
  volumesReadyCondition,
} from './status-conditions.ts'
import type { Facts } from './status-facts.ts'
import { imageStatus, pinMessage, type ImageFacts } from './status-image.ts'
import { goneCondition, withGone } from './status-gone.ts'
import { withMove } from './status-move.ts'
import { settledVolumes, volumeStatuses } from './status-volumes.ts'
import { workloadStatus } from './status-workload.ts'

/** What a pass tells at its end. */
export function toldStatus(facts: Facts): AppStatus {
  if (facts.waitsFor !== undefined && facts.error === undefined) return waitingStatus(facts, facts.waitsFor)
  return facts.settled ? settledStatus(facts, facts.previous) : statusOf(facts)
}

export function statusOf(facts: Facts): AppStatus {
  const now = new Date(facts.nowMs).toISOString()
  const chosen =
    facts.image === undefined
      ? facts.previous?.image
      : imageStatus(facts.image, facts.previous?.image, now, facts.movedTo)
  const image = chosen === undefined ? undefined : withGone(chosen, facts.gone ?? facts.previous?.image?.gone)
  const next = [
    readyCondition(facts),
    imageCondition(facts, facts.image === undefined ? undefined : image),
    renderedCondition(facts),
    volumesReadyCondition(facts),
    executableCondition(facts),
    availableCondition(facts),
    ...reconcilingCondition(facts),
    ...stalledCondition(facts),
    ...outdatedCondition(facts),
    ...goneCondition(image, facts.app?.metadata.name ?? ''),
  ]
  const workload = workloadStatus(facts)
  const lastHandledRequest = facts.image?.request ?? facts.previous?.lastHandledRequest
  return {
    observedGeneration: facts.generation,
    ...(image === undefined ? {} : { image }),
    volumes: volumeStatuses(facts.desired, facts.observed, facts.previous, facts.volumes),
    workload,
    ...(lastHandledRequest === undefined ? {} : { lastHandledRequest }),
    inventory: inventoryOf(facts),
    conditions: mergeConditions(facts.previous?.conditions ?? [], next, facts.generation, now),
  }
}

/** The status as soon as the digest is chosen, before anything is made; what else was told stays. */
export function pinnedStatus(
  { generation, status: previous = {} }: Pick<StoredApp, 'generation' | 'status'>,
  image: ImageFacts,
  nowMs: number,
): AppStatus {
  const now = new Date(nowMs).toISOString()
  const pinned = imageStatus(image, previous.image, now)
  const before = previous.conditions ?? []
  if (findCondition(before, IMAGE_RESOLVED)?.status === 'True') return { ...previous, image: pinned }
  const message = `${pinMessage(pinned)}; what it needs is made next`
  const first = [
    condition(READY, 'False', 'Progressing', message),
    resolvedCondition(pinned),
    condition(RECONCILING, 'True', 'Progressing', message),
  ]
  // What else was told is about what ran before, and stays so.
  const conditions = first.reduce<readonly Condition[]>(
    (told, one) => setCondition(told, { ...one, observedGeneration: generation }, now),
    removeCondition(before, STALLED),
  )
  return { observedGeneration: generation, ...previous, image: pinned, conditions: inOrder(conditions) }
}

/**
 * The status while work goes on elsewhere. What was told before was told of what runs, and stays so, with the generation
 * that it was told of: whoever waits for an edit sees that it is not there yet.
 */
function waitingStatus({ generation, previous = {}, nowMs }: Facts, message: string): AppStatus {
  const now = new Date(nowMs).toISOString()
  const before = previous.conditions ?? []
  const ready = findCondition(before, READY)
  const hasFailed = ready?.status === 'False' && ready.reason !== 'Progressing'
  // It is being tried again: that it failed stands until there is news.
  if (hasFailed && ready.observedGeneration === generation) return previous
  const observedGeneration = previous.observedGeneration ?? generation
  const news = [
    ...(ready?.status === 'True' ? [] : [condition(READY, 'False', 'Progressing', message)]),
    condition(RECONCILING, 'True', 'Progressing', message),
  ]
  const conditions = news.reduce<readonly Condition[]>(
    (told, one) => setCondition(told, { ...one, observedGeneration }, now),
    removeCondition(before, STALLED),
  )
  return { ...previous, observedGeneration, conditions: inOrder(conditions) }
}

/**
 * The status of an app that needed no rendering: what was told of image, rendering and volumes still holds; what runs is
 * told anew.
 */
export function settledStatus(facts: Facts, previous: AppStatus | undefined): AppStatus {
  const now = new Date(facts.nowMs).toISOString()
  const kept = [IMAGE_RESOLVED, RENDERED, VOLUMES_EXECUTABLE].flatMap(
    (type) => previousCondition(facts, type) ?? [],
  )
  const image =
    previous?.image === undefined ? undefined : withGone(withMove(previous.image, facts.movedTo), facts.gone)
  const next = [
    ...kept,
    readyCondition(facts),
    volumesReadyCondition(facts),
    availableCondition(facts),
    ...reconcilingCondition(facts),
    ...stalledCondition(facts),
    ...outdatedCondition(facts),
    ...goneCondition(image, facts.app?.metadata.name ?? ''),
  ]
  return {
    ...previous,
    observedGeneration: facts.generation,
    ...(image === undefined ? {} : { image }),
    volumes: settledVolumes(previous?.volumes ?? [], facts.observed),
    workload: workloadStatus(facts),
    inventory: inventoryOf(facts),
    conditions: mergeConditions(previous?.conditions ?? [], next, facts.generation, now),
  }
}

/** Conditions in their fixed order; those that are present only while true vanish when they are not in `next`. */
function mergeConditions(
  previous: readonly Condition[],
  next: readonly NextCondition[],
  generation: number,
  now: string,
): Condition[] {
  let conditions: readonly Condition[] = previous
  for (const type of CONDITION_TYPES) {
    const condition = next.find((entry) => entry.type === type)
    conditions =
      condition === undefined
        ? removeCondition(conditions, type)
        : setCondition(conditions, { ...condition, observedGeneration: generation }, now)
  }
  return inOrder(conditions)
}

function inOrder(conditions: readonly Condition[]): Condition[] {
  return CONDITION_TYPES.flatMap((type) => findCondition(conditions, type) ?? [])
}

function inventoryOf(facts: Facts): readonly InventoryItem[] {
  if (facts.observed.inventory !== undefined) return facts.observed.inventory
  const api = 'local.fairlead.dev/v1alpha1'
  return [
    ...facts.observed.instances.map(({ id }) => ({ apiVersion: api, kind: 'Instance', name: id })),
    ...facts.observed.volumes.map(({ claimName }) => ({ apiVersion: api, kind: 'Volume', name: claimName })),
  ]
}
