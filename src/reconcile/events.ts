/**
 * What changed between two statuses, as events for people. Only transitions: equal statuses give none, and an app that
 * comes up for the first time without trouble gives two, `Resolved` and `Ready`. Pure.
 */
import {
  findCondition,
  IMAGE_OUTDATED,
  IMAGE_RESOLVED,
  PINNED_IMAGE_GONE,
  READY,
  RENDERED,
  STALLED,
  VOLUMES_READY,
  type Condition,
} from '../crd/conditions.ts'
import type { AppStatus, VolumeStatus } from '../crd/status.ts'
import { REASONS } from '../errors.ts'
import { goneDigests } from './status-gone.ts'
import { pinMessage } from './status-image.ts'

export interface AppEvent {
  readonly type: 'Normal' | 'Warning'
  /** UpperCamelCase; of a warning the reason of the condition that tells it. */
  readonly reason: string
  /** What Fairlead did or tried, UpperCamelCase. */
  readonly action: string
  /** A sentence. Made from the status only, which holds nothing secret. */
  readonly note: string
}

/** Conditions that tell of trouble while they are `False`, the most telling first. */
const TROUBLE_TYPES = [READY, IMAGE_RESOLVED, RENDERED, VOLUMES_READY]

/** Reasons of states that pass by themselves: the status shows them, an event for each would be noise. */
const PASSING = new Set(['VolumePending', 'ClusterConflict', 'ClusterUnavailable', 'ControllerUnavailable'])
const TELLING = new Set<string>(REASONS.filter((reason) => !PASSING.has(reason)))

export function eventsOf(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  return [
    ...resolved(before, after),
    ...volumeEvents(before, after),
    ...readiness(before, after),
    ...outdated(before, after),
    ...gone(before, after),
    ...troubles(before, after),
  ]
}

function normal(reason: string, action: string, note: string): AppEvent {
  return { type: 'Normal', reason, action, note }
}

function resolved(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  const [old, now] = [before?.image, after.image]
  if (now === undefined || old?.digest === now.digest) return []
  const change = old === undefined ? '' : `, before it was ${old.digest}`
  if (now.rollback !== undefined) return [normal('RolledBack', 'RollBack', pinMessage(now))]
  return [normal('Resolved', 'Resolve', `${now.reference} is ${now.digest}${change}`)]
}

function readiness(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  const [old, now] = [conditionOf(before, READY), conditionOf(after, READY)]
  if (now?.status !== 'True') return []
  const revision = after.workload?.readyRevision
  const ran = before?.workload?.readyRevision
  const isSuspended = now.reason === 'Suspended'
  if (!isSuspended && ran !== undefined && revision !== undefined && ran !== revision)
    return [normal('RolledOut', 'RollOut', `revision ${revision} runs instead of ${ran}`)]
  if (old?.status === 'True' && old.reason === now.reason) return []
  if (isSuspended) return [normal('Suspended', 'Suspend', now.message)]
  return [
    normal('Ready', 'Start', `${now.message}${ran === undefined ? volumeWords(after.volumes ?? []) : ''}`),
  ]
}

/** The first `Ready` also says what became of the volumes, which saves an event for each. */
function volumeWords(volumes: readonly VolumeStatus[]): string {
  const paths = (which: (volume: VolumeStatus) => boolean) =>
    volumes
      .filter(which)
      .map(({ path }) => path)
      .join(', ')
  const kept = paths((volume) => volume.kept === true)
  const seeded = paths((volume) => volume.seeded === true && volume.kept !== true)
  return `${seeded === '' ? '' : `; seeded volumes: ${seeded}`}${kept === '' ? '' : `; volumes found again with their data: ${kept}`}`
}

function volumeEvents(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  // Before anything ran all volumes are new, and `Ready` tells of them.
  if (before?.workload?.readyRevision === undefined) return []
  return (after.volumes ?? []).flatMap((now) => {
    const old = before.volumes?.find(({ path }) => path === now.path)
    return [...seeding(old, now), ...orphaning(old, now), ...resizing(old, now)]
  })
}

function seeding(old: VolumeStatus | undefined, now: VolumeStatus): readonly AppEvent[] {
  if (now.seeded !== true || old?.seeded === true || now.origin === 'Orphaned') return []
  return [normal('VolumeSeeded', 'Seed', `${now.path} was seeded${from(now)} into ${claimOf(now)}`)]
}

function from({ seededFrom }: VolumeStatus): string {
  return seededFrom === undefined ? '' : ` from ${seededFrom}`
}

function orphaning(old: VolumeStatus | undefined, now: VolumeStatus): readonly AppEvent[] {
  if (now.origin !== 'Orphaned' || old === undefined || old.origin === 'Orphaned') return []
  const note = `nothing declares ${now.path} any more; ${claimOf(now)} and its data are kept`
  return [normal('VolumeOrphaned', 'Keep', note)]
}

function resizing(old: VolumeStatus | undefined, now: VolumeStatus): readonly AppEvent[] {
  if (old?.size === undefined || now.size === undefined || old.size === now.size) return []
  return [normal('Resizing', 'Resize', `${claimOf(now)} of ${now.path} goes from ${old.size} to ${now.size}`)]
}

function claimOf({ claimName }: VolumeStatus): string {
  return claimName === undefined ? 'its storage' : `claim ${claimName}`
}

function outdated(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  const now = conditionOf(after, IMAGE_OUTDATED)
  if (now === undefined || now.message === conditionOf(before, IMAGE_OUTDATED)?.message) return []
  return [normal('ImageOutdated', 'Watch', now.message)]
}

function gone(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  const [old, now] = [goneDigests(before), goneDigests(after)]
  const told = conditionOf(after, PINNED_IMAGE_GONE)
  if (told !== undefined && now.some((digest) => !old.includes(digest)))
    return [{ type: 'Warning', reason: told.reason, action: 'Watch', note: told.message }]
  if (old.length === 0 || now.length > 0) return []
  return [normal('PinnedImageBack', 'Watch', 'every digest that is needed can be pulled again')]
}

function troubles(before: AppStatus | undefined, after: AppStatus): readonly AppEvent[] {
  const old = troublesOf(before)
  return troublesOf(after)
    .filter((now) => !old.some((one) => isSameTrouble(one, now)))
    .map(({ reason, message }) => ({
      type: 'Warning',
      reason,
      action: 'Reconcile',
      // With the time of the next start every note would be a new one.
      note: message.replace(/; next start \S+$/, ''),
    }))
}

/** Each reason once, in the words of the most telling condition. */
function troublesOf(status: AppStatus | undefined): readonly Condition[] {
  const found = TROUBLE_TYPES.flatMap((type) => conditionOf(status, type) ?? []).filter(
    ({ status: is, reason }) => is === 'False' && TELLING.has(reason),
  )
  const stalled = conditionOf(status, STALLED)
  const all = stalled?.status === 'True' ? [stalled, ...found] : found
  return all.filter(({ reason }, index) => all.findIndex((one) => one.reason === reason) === index)
}

/** Words may change from pass to pass; after an edit that did not help, other words are news. */
function isSameTrouble(old: Condition, now: Condition): boolean {
  if (old.reason !== now.reason) return false
  return old.observedGeneration === now.observedGeneration || old.message === now.message
}

function conditionOf(status: AppStatus | undefined, type: string): Condition | undefined {
  return findCondition(status?.conditions ?? [], type)
}
