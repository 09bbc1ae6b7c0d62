/** Each condition of the status by itself (DESIGN §4). Pure. */
import {
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
  type Condition,
  type NextCondition,
} from '../crd/conditions.ts'
import type { ImageStatus } from '../crd/status.ts'
import { printable, type Reason } from '../errors.ts'
import { openRequest } from './image-request.ts'
import { appId } from './names.ts'
import { lastRun } from './plan.ts'
import { pinMessage } from './status-image.ts'
import { availableOf } from './status-move.ts'
import { targetOf, workloadTrouble } from './status-workload.ts'
import type { Facts } from './status-facts.ts'
import type { DesiredVolume, Part } from './types.ts'

export function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): NextCondition {
  return { type, status, reason, message }
}

export function previousCondition(facts: Facts, type: string): Condition | undefined {
  return findCondition(facts.previous?.conditions ?? [], type)
}

export function readyCondition(facts: Facts): NextCondition {
  if (facts.error !== undefined) return condition(READY, 'False', facts.error.reason, facts.error.message)
  if (isMeantToRun(facts) === false)
    return condition(READY, 'True', 'Suspended', 'suspended: everything but the workload is kept')
  const target = targetOf(facts)
  const denied = deniedVolumes(facts)
  if (denied.length > 0) return condition(READY, 'False', 'VolumeNotExecutable', deniedMessage(denied))
  if (target?.state === 'running') return condition(READY, 'True', 'Running', 'the app is running')
  return { ...workloadTrouble(facts, target), type: READY }
}

export function imageCondition(facts: Facts, image: ImageStatus | undefined): NextCondition {
  if (facts.failedAt === 'image' && facts.error !== undefined)
    return condition(IMAGE_RESOLVED, 'False', facts.error.reason, facts.error.message)
  if (facts.resolveError !== undefined) {
    return condition(
      IMAGE_RESOLVED,
      'False',
      facts.resolveError.reason,
      `${facts.resolveError.message}; what was pinned stays${stillWanted(facts)}`,
    )
  }
  if (image !== undefined) return resolvedCondition(image)
  return (
    previousCondition(facts, IMAGE_RESOLVED) ??
    condition(IMAGE_RESOLVED, 'Unknown', 'Pending', 'not resolved yet')
  )
}

/** A request outlives its failure: whoever reads of the one must learn of the other, and how to end it. */
function stillWanted({ app, previous, resolveError }: Facts): string {
  const open = openRequest(app?.metadata.annotations, previous)
  if (app === undefined || open === undefined) return ''
  const { namespace, name } = app.metadata
  const shown = namespace === 'default' ? name : appId({ namespace, name })
  const when = resolveError?.retry === 'backoff' ? 'until it works' : "at the app's next change"
  return `; the ${open} is still wanted and tried again ${when}; to take it back: fairlead rebuild ${shown} --cancel`
}

export function resolvedCondition(image: ImageStatus): NextCondition {
  return condition(
    IMAGE_RESOLVED,
    'True',
    image.rollback === undefined ? 'Resolved' : 'RolledBack',
    pinMessage(image),
  )
}

export function renderedCondition(facts: Facts): NextCondition {
  const broken = facts.failedAt === 'rendering' || facts.failedAt === 'resource'
  if (broken && facts.error !== undefined)
    return condition(RENDERED, 'False', facts.error.reason, facts.error.message)
  if (facts.desired === undefined) return condition(RENDERED, 'Unknown', 'Pending', 'waits for the image')
  const warnings = facts.warnings.map(({ reason, path, message }) => `${reason}: ${path}: ${message}`)
  return condition(
    RENDERED,
    'True',
    warnings.length === 0 ? 'Rendered' : 'RenderedWithWarnings',
    warnings.length === 0 ? 'all fields are honoured' : warnings.join('; '),
  )
}

export function volumesReadyCondition(facts: Facts): NextCondition {
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

export function executableCondition(facts: Facts): NextCondition {
  if (facts.desired === undefined) {
    return (
      previousCondition(facts, VOLUMES_EXECUTABLE) ??
      condition(VOLUMES_EXECUTABLE, 'Unknown', 'Pending', 'waits for the image')
    )
  }
  const denied = deniedVolumes(facts)
  if (denied.length > 0)
    return condition(VOLUMES_EXECUTABLE, 'False', 'VolumeNotExecutable', deniedMessage(denied))
  const wanted = facts.desired.volumes.filter((volume) => isProvable(facts, volume))
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

export function availableCondition(facts: Facts): NextCondition {
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
  const last = lastRun(facts.observed.instances)
  if (facts.error !== undefined && last === undefined && facts.observed.trouble === undefined)
    return condition(WORKLOAD_AVAILABLE, 'False', 'Pending', waitsFor(facts.failedAt))
  return { ...workloadTrouble(facts, last), type: WORKLOAD_AVAILABLE }
}

function waitsFor(part: Part | undefined): string {
  return part === undefined || part === 'workload' ? 'nothing was started yet' : WAITS[part]
}

const WAITS: Readonly<Record<Exclude<Part, 'workload'>, string>> = {
  resource: 'nothing is started before the resource can be used',
  image: 'nothing is started before the image is there',
  rendering: 'nothing is started before what Rendered says is mended',
  volumes: 'nothing is started before the volumes are ready',
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

export function reconcilingCondition(facts: Facts): NextCondition[] {
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

export function stalledCondition(facts: Facts): NextCondition[] {
  const { error } = facts
  return error === undefined || !isStuck(facts)
    ? []
    : [condition(STALLED, 'True', error.reason, error.message)]
}

/** Characters of the reference in the message, which stays at about 1 KiB in all. */
const REFERENCE_CHARS = 200

export function outdatedCondition({ app, image, previous, movedTo }: Facts): NextCondition[] {
  const pin = image?.resolved.digest ?? previous?.image?.digest
  const { availableDigest, availableChanges } = pin === undefined ? {} : availableOf(movedTo, pin)
  if (availableDigest === undefined) return []
  const changes = availableChanges === undefined ? '' : `: ${availableChanges}`
  const reference = printable(app?.spec.image ?? '', REFERENCE_CHARS)
  const message = `${reference} now is ${availableDigest}${changes}; what runs stays until it is asked: fairlead rebuild ${app?.metadata.name ?? ''}`
  return [condition(IMAGE_OUTDATED, 'True', 'TagMoved', message)]
}

/** Whether anything is meant to run; a settled app is known by its resource alone. undefined: nothing could be decided. */
function isMeantToRun(facts: Facts): boolean | undefined {
  return facts.desired?.running ?? (facts.settled ? facts.running : undefined)
}
