/**
 * Says what was done: the only place that makes conditions (DESIGN §4). Pure; equal facts give an equal status, so a
 * converged app is never written again (invariant 8).
 */
import {
  CONDITION_TYPES,
  IMAGE_OUTDATED,
  IMAGE_RESOLVED,
  READY,
  RECONCILING,
  RENDERED,
  STALLED,
  VOLUMES_EXECUTABLE,
  VOLUMES_READY,
  WORKLOAD_AVAILABLE,
  findCondition,
  removeCondition,
  setCondition,
  type Condition,
  type NextCondition,
} from '../crd/conditions.ts'
import type { AppStatus, ImageStatus, InventoryItem } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import type { Digest } from '../image/types.ts'
import type { ExpectedError, Issue, Reason } from '../errors.ts'
import { imageStatus, type ImageFacts } from './status-image.ts'
import { settledVolumes, volumeStatuses } from './status-volumes.ts'
import { lastRun } from './plan.ts'
import type { StoredApp } from './ports.ts'
import { targetOf, workloadStatus, workloadTrouble } from './status-workload.ts'
import type { Desired, DesiredVolume, Observed, Part, Trouble, VolumeWords } from './types.ts'

export interface Facts {
  readonly app: App | undefined
  readonly generation: number
  readonly previous: AppStatus | undefined
  readonly image: ImageFacts | undefined
  /** Why the image, the rendering or a step failed; undefined when all went well. */
  readonly error: ExpectedError | undefined
  /** Which part failed: it decides which condition says so. */
  readonly failedAt: Part | undefined
  readonly warnings: readonly Issue[]
  readonly desired: Desired | undefined
  /** Nothing had to be rendered: `desired` is absent although all is well, and what is wanted is what is there. */
  readonly settled: boolean
  /** Whether the user wants it to run; undefined when the resource could not be read. */
  readonly running: boolean | undefined
  /** Id of the instance that should run. */
  readonly targetId: string | undefined
  readonly observed: Observed
  /** undefined: what was told last stays. */
  readonly addresses: readonly string[] | undefined
  /** The digest that the tag has moved to, when it has. */
  readonly movedTo: Digest | undefined
  /** A request whose resolution failed while the pin stays good. */
  readonly resolveError: ExpectedError | undefined
  /** What the plan waits for although nothing is wrong. */
  readonly waiting: Trouble | undefined
  /** What the plan says of volumes beside what every engine says. */
  readonly volumes?: readonly VolumeWords[] | undefined
  readonly wakeAtMs: number | undefined
  readonly nowMs: number
}

export function statusOf(facts: Facts): AppStatus {
  const now = new Date(facts.nowMs).toISOString()
  const next = [
    readyCondition(facts),
    imageCondition(facts),
    renderedCondition(facts),
    volumesReadyCondition(facts),
    executableCondition(facts),
    availableCondition(facts),
    ...reconcilingCondition(facts),
    ...stalledCondition(facts),
    ...outdatedCondition(facts),
  ]
  const workload = workloadStatus(facts)
  const image =
    facts.image === undefined
      ? facts.previous?.image
      : imageStatus(facts.image, facts.previous?.image, now, facts.movedTo)
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
  if (previous.conditions !== undefined) return { ...previous, image: pinned }
  const message = `${resolvedMessage(image)}; what it needs is made next`
  const first = [
    condition(READY, 'False', 'Progressing', message),
    resolvedCondition(image),
    condition(RECONCILING, 'True', 'Progressing', message),
  ]
  return {
    ...previous,
    observedGeneration: generation,
    image: pinned,
    conditions: mergeConditions([], first, generation, now),
  }
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
  const next = [
    ...kept,
    readyCondition(facts),
    volumesReadyCondition(facts),
    availableCondition(facts),
    ...reconcilingCondition(facts),
    ...stalledCondition(facts),
    ...outdatedCondition(facts),
  ]
  const image = previous?.image === undefined ? {} : { image: withMoved(previous.image, facts.movedTo) }
  return {
    ...previous,
    observedGeneration: facts.generation,
    ...image,
    volumes: settledVolumes(previous?.volumes ?? [], facts.observed),
    workload: workloadStatus(facts),
    inventory: inventoryOf(facts),
    conditions: mergeConditions(previous?.conditions ?? [], next, facts.generation, now),
  }
}

function withMoved(image: ImageStatus, movedTo: Digest | undefined): ImageStatus {
  const { availableDigest: _before, ...rest } = image
  return movedTo === undefined || movedTo === image.digest ? rest : { ...rest, availableDigest: movedTo }
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
  return CONDITION_TYPES.flatMap((type) => conditions.find((condition) => condition.type === type) ?? [])
}

function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): NextCondition {
  return { type, status, reason, message }
}

function previousCondition(facts: Facts, type: string): Condition | undefined {
  return findCondition(facts.previous?.conditions ?? [], type)
}

function readyCondition(facts: Facts): NextCondition {
  if (facts.error !== undefined) return condition(READY, 'False', facts.error.reason, facts.error.message)
  if (isMeantToRun(facts) === false)
    return condition(READY, 'True', 'Suspended', 'suspended: everything but the workload is kept')
  const target = targetOf(facts)
  const denied = deniedVolumes(facts)
  if (denied.length > 0) return condition(READY, 'False', 'VolumeNotExecutable', deniedMessage(denied))
  if (target?.state === 'running') return condition(READY, 'True', 'Running', 'the app is running')
  return { ...workloadTrouble(facts, target), type: READY }
}

function imageCondition(facts: Facts): NextCondition {
  if (facts.failedAt === 'image' && facts.error !== undefined)
    return condition(IMAGE_RESOLVED, 'False', facts.error.reason, facts.error.message)
  if (facts.resolveError !== undefined) {
    return condition(
      IMAGE_RESOLVED,
      'False',
      facts.resolveError.reason,
      `${facts.resolveError.message}; what was pinned stays`,
    )
  }
  if (facts.image !== undefined) return resolvedCondition(facts.image)
  return (
    previousCondition(facts, IMAGE_RESOLVED) ??
    condition(IMAGE_RESOLVED, 'Unknown', 'Pending', 'not resolved yet')
  )
}

function resolvedCondition(image: ImageFacts): NextCondition {
  return condition(IMAGE_RESOLVED, 'True', 'Resolved', resolvedMessage(image))
}

function resolvedMessage({ resolved }: ImageFacts): string {
  return `${resolved.canonical} is ${resolved.digest}`
}

function renderedCondition(facts: Facts): NextCondition {
  const broken = facts.failedAt === 'rendering' || facts.failedAt === 'resource'
  if (broken && facts.error !== undefined)
    return condition(RENDERED, 'False', facts.error.reason, facts.error.message)
  if (facts.desired === undefined) return condition(RENDERED, 'Unknown', 'Pending', 'waits for the image')
  const warnings = facts.warnings.map(({ path, message }) => `${path}: ${message}`)
  return condition(
    RENDERED,
    'True',
    warnings.length === 0 ? 'Rendered' : 'RenderedWithWarnings',
    warnings.length === 0 ? 'all fields are honoured' : warnings.join('; '),
  )
}

function volumesReadyCondition(facts: Facts): NextCondition {
  if (facts.failedAt === 'volumes' && facts.error !== undefined)
    return condition(VOLUMES_READY, 'False', facts.error.reason, facts.error.message)
  // A new revision that is refused says nothing about the volumes of the old one.
  if (facts.desired === undefined)
    return (
      previousCondition(facts, VOLUMES_READY) ??
      condition(VOLUMES_READY, 'Unknown', 'Pending', 'waits for the image')
    )
  const wanted = facts.desired.volumes.filter(({ storage }) => storage.kind === 'own')
  const missing = wanted.filter(
    ({ path }) => !facts.observed.volumes.some((volume) => volume.path === path && volume.phase === 'Bound'),
  )
  if (missing.length > 0)
    return condition(
      VOLUMES_READY,
      'False',
      'VolumePending',
      `not made yet: ${missing.map(({ path }) => path).join(', ')}`,
    )
  return condition(
    VOLUMES_READY,
    'True',
    'VolumesReady',
    `${facts.desired.volumes.length} of ${facts.desired.volumes.length} ready`,
  )
}

function deniedVolumes(facts: Facts): readonly string[] {
  return (facts.desired?.volumes ?? [])
    .filter(({ path, exec }) => exec === 'Required' && facts.observed.execByPath.get(path) === 'noexec')
    .map(({ path }) => path)
}

function deniedMessage(paths: readonly string[]): string {
  return `mounted noexec although exec was asked: ${paths.join(', ')}; the host's file system forbids it and the kernel locks the flag in a user namespace`
}

function executableCondition(facts: Facts): NextCondition {
  if (facts.desired === undefined) {
    return (
      previousCondition(facts, VOLUMES_EXECUTABLE) ??
      condition(VOLUMES_EXECUTABLE, 'Unknown', 'Pending', 'waits for the image')
    )
  }
  const denied = deniedVolumes(facts)
  if (denied.length > 0)
    return condition(VOLUMES_EXECUTABLE, 'False', 'VolumeNotExecutable', deniedMessage(denied))
  const wanted = (facts.desired?.volumes ?? []).filter((volume) => isProvable(facts, volume))
  const seen = wanted.filter(({ path }) => facts.observed.execByPath.get(path) === 'exec')
  if (wanted.length > 0 && seen.length < wanted.length) {
    const before = previousCondition(facts, VOLUMES_EXECUTABLE)
    // Between two runs nothing can be read back; what was seen last still stands.
    if (before?.status === 'True') return before
    return condition(
      VOLUMES_EXECUTABLE,
      'Unknown',
      'NotRunning',
      'mount flags are read back once the container runs',
    )
  }
  return condition(
    VOLUMES_EXECUTABLE,
    'True',
    'Executable',
    'every volume that should be is mounted exec, as read from the kernel',
  )
}

/** Pods are not looked into: what the kubelet makes itself (memory, keys as files) nobody has to prove. */
function isProvable({ observed }: Facts, { exec, storage }: DesiredVolume): boolean {
  if (exec === 'Forbidden') return false
  return observed.workload === undefined || !['memory', 'configMap', 'secret'].includes(storage.kind)
}

function availableCondition(facts: Facts): NextCondition {
  const running = facts.observed.instances.find(({ state }) => state === 'running')
  if (running !== undefined) {
    const old = facts.targetId !== undefined && running.id !== facts.targetId
    return condition(
      WORKLOAD_AVAILABLE,
      'True',
      'Running',
      old ? `revision ${running.revision} still runs` : `revision ${running.revision} runs`,
    )
  }
  if (isMeantToRun(facts) === false) return condition(WORKLOAD_AVAILABLE, 'False', 'Suspended', 'suspended')
  return { ...workloadTrouble(facts, lastRun(facts.observed.instances)), type: WORKLOAD_AVAILABLE }
}

/**
 * Failures that are tried again although only somebody's hand can end them: to those who wait they are no progress
 * (kstatus: Stalled), or Argo CD and Flux would wait for ever.
 */
const NEEDS_SOMEBODY: readonly Reason[] = [
  'ImageNotFound',
  'ImageNotPullable',
  'PlatformNotFound',
  'RegistryUnauthorized',
  'PullSecretForbidden',
  'PullSecretInvalid',
]

function isStuck({ error }: Facts): boolean {
  return error !== undefined && (error.retry === 'terminal' || NEEDS_SOMEBODY.includes(error.reason))
}

function reconcilingCondition(facts: Facts): NextCondition[] {
  if (isStuck(facts)) return []
  const target = targetOf(facts)
  const isUp = target?.state === 'running'
  // An app that ends again and again makes no progress, however often it is started.
  if (facts.error === undefined && !isUp && workloadTrouble(facts, target).reason === 'CrashLoopBackOff')
    return []
  // A failed question about the tag that only an edit can help is no progress to wait for.
  const asksAgain = facts.resolveError?.retry === 'backoff'
  const busy = facts.error !== undefined || asksAgain || (isMeantToRun(facts) === true && !isUp)
  const message =
    facts.error?.message ??
    facts.resolveError?.message ??
    facts.waiting?.message ??
    'the container is being started'
  return busy ? [condition(RECONCILING, 'True', 'Progressing', message)] : []
}

function stalledCondition(facts: Facts): NextCondition[] {
  const { error } = facts
  return error === undefined || !isStuck(facts)
    ? []
    : [condition(STALLED, 'True', error.reason, error.message)]
}

function outdatedCondition(facts: Facts): NextCondition[] {
  const pinned = facts.image?.resolved.digest ?? facts.previous?.image?.digest
  if (facts.movedTo === undefined || pinned === undefined || facts.movedTo === pinned) return []
  const message = `${facts.app?.spec.image ?? ''} now is ${facts.movedTo}; what runs stays until it is asked: fairlead rebuild ${facts.app?.metadata.name ?? ''}`
  return [condition(IMAGE_OUTDATED, 'True', 'TagMoved', message)]
}

/** Whether anything is meant to run; a settled app is known by its resource alone. undefined: nothing could be decided. */
function isMeantToRun(facts: Facts): boolean | undefined {
  return facts.desired?.running ?? (facts.settled ? facts.running : undefined)
}

function inventoryOf(facts: Facts): readonly InventoryItem[] {
  if (facts.observed.inventory !== undefined) return facts.observed.inventory
  const api = 'local.fairlead.dev/v1alpha1'
  return [
    ...facts.observed.instances.map(({ id }) => ({ apiVersion: api, kind: 'Instance', name: id })),
    ...facts.observed.volumes.map(({ claimName }) => ({ apiVersion: api, kind: 'Volume', name: claimName })),
  ]
}
