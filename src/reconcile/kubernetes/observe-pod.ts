/** What planning and the status need to know of a pod. Pure; tolerant of any shape. */
import { COMPONENT_LABEL, REVISION, REVISION_LABEL } from '../../crd/labels.ts'
import { fieldsOf, itemsOf, type Fields } from '../../crd/view.ts'
import {
  conditionOf,
  countAt,
  jsonIn,
  listAt,
  metadataOf,
  observedObject,
  sentenceAt,
  timeAt,
  wordAt,
} from './observe-fields.ts'
import { claimsIn, imageDigestIn } from './observe-workload.ts'
import { PREFLIGHT_CONTAINER } from './preflight-pod.ts'
import type { KubeObject, ObservedContainer, ObservedPod } from './types.ts'

/** A report is at most 1 KiB; what is longer is none. */
const MAX_REPORT = 4096
const MAX_TASK_PATHS = 512
/** Sidecars beyond this say nothing that a person would read. */
const MAX_CONTAINERS = 32
const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed'] as const

/** undefined for any other kind, for pods of no role that we know, and for one without name or uid. */
export function observePod(object: KubeObject): ObservedPod | undefined {
  const common = observedObject(object, ['Pod'])
  const { labels, annotations, owners } = metadataOf(object)
  const role = labels[COMPONENT_LABEL]
  if (common === undefined || (role !== 'app' && role !== 'preflight')) return undefined
  const spec = fieldsOf(object['spec'])
  const status = fieldsOf(object['status'])
  const controller = owners.find((owner) => owner['controller'] === true)
  const containers = containersIn(status, 'containerStatuses')
  return {
    ...common,
    role,
    controllerUid: controller === undefined ? undefined : wordAt(controller, 'uid'),
    templateHash: labels['controller-revision-hash'],
    ...claimsIn(spec),
    taskPaths: role === 'preflight' ? taskPathsIn(spec) : undefined,
    revision: annotations[REVISION] ?? labels[REVISION_LABEL] ?? '',
    digest: imageDigestIn(annotations),
    phase: (role === 'preflight' ? preflightEnd(containers) : undefined) ?? phaseIn(status),
    ready: conditionOf(status, 'Ready')['status'] === 'True',
    nodeName: wordAt(spec, 'nodeName'),
    unschedulable: unschedulableIn(status),
    createdAtMs: timeAt(fieldsOf(object.metadata), 'creationTimestamp') ?? 0,
    initContainers: containersIn(status, 'initContainerStatuses'),
    containers,
    reason: wordAt(status, 'reason'),
    message: sentenceAt(status, 'message'),
  }
}

function phaseIn(status: Fields): ObservedPod['phase'] {
  return PHASES.find((phase) => phase === status['phase']) ?? 'Unknown'
}

/**
 * A preflight pod is over when our container is: a mesh's sidecar that an admission webhook put beside it never ends by
 * itself, and the phase of the pod with it.
 */
function preflightEnd(containers: readonly ObservedContainer[]): 'Succeeded' | 'Failed' | undefined {
  const ours = containers.find(({ name }) => name === PREFLIGHT_CONTAINER)
  if (ours?.state !== 'terminated') return undefined
  return ours.exitCode === 0 ? 'Succeeded' : 'Failed'
}

function unschedulableIn(status: Fields): string | undefined {
  const scheduled = conditionOf(status, 'PodScheduled')
  if (scheduled['status'] !== 'False') return undefined
  return sentenceAt(scheduled, 'message') ?? wordAt(scheduled, 'reason') ?? 'no node takes it'
}

/** The volumes that the pod itself was told of: a pod may have been made by another version, for other volumes. */
function taskPathsIn(spec: Fields): readonly string[] | undefined {
  const container = listAt(spec, 'containers').find(({ name }) => name === PREFLIGHT_CONTAINER) ?? {}
  const task = listAt(container, 'env').find(({ name }) => name === 'FAIRLEAD_PREFLIGHT') ?? {}
  const text = task['value']
  const volumes = itemsOf(fieldsOf(jsonIn(typeof text === 'string' ? text : undefined))['volumes'])
  const paths = volumes.map((volume) => fieldsOf(volume)['path'])
  const known = paths.every((path): path is string => typeof path === 'string')
  return known && paths.length <= MAX_TASK_PATHS ? paths : undefined
}

function containersIn(status: Fields, key: string): readonly ObservedContainer[] {
  return listAt(status, key).slice(0, MAX_CONTAINERS).map(containerOf)
}

function containerOf(status: Fields): ObservedContainer {
  const name = wordAt(status, 'name') ?? ''
  const state = fieldsOf(status['state'])
  const running = fieldsOf(state['running'])
  const waiting = fieldsOf(state['waiting'])
  const ended = fieldsOf(state['terminated'])
  const kind =
    state['running'] !== undefined ? 'running' : state['terminated'] !== undefined ? 'terminated' : 'waiting'
  const now = kind === 'terminated' ? ended : waiting
  return {
    name,
    ready: status['ready'] === true,
    restarts: countAt(status, 'restartCount'),
    state: kind,
    reason: wordAt(now, 'reason'),
    message:
      name === PREFLIGHT_CONTAINER && kind === 'terminated' ? reportIn(now) : sentenceAt(now, 'message'),
    exitCode: kind === 'terminated' ? exitCodeIn(ended) : undefined,
    startedAtMs: timeAt(kind === 'terminated' ? ended : running, 'startedAt'),
    finishedAtMs: timeAt(ended, 'finishedAt'),
    last: lastRunOf(fieldsOf(status['lastState'])['terminated']),
  }
}

/** Kept as it is: it is parsed, not printed. */
function reportIn(state: Fields): string | undefined {
  const text = state['message']
  return typeof text === 'string' && text.length <= MAX_REPORT ? text : undefined
}

function exitCodeIn(ended: Fields): number {
  const code = ended['exitCode']
  return typeof code === 'number' && Number.isSafeInteger(code) ? code : -1
}

function lastRunOf(value: unknown): ObservedContainer['last'] {
  if (value === undefined || value === null) return undefined
  const ended = fieldsOf(value)
  const finishedAtMs = timeAt(ended, 'finishedAt') ?? 0
  return {
    exitCode: exitCodeIn(ended),
    reason: wordAt(ended, 'reason'),
    message: sentenceAt(ended, 'message'),
    startedAtMs: timeAt(ended, 'startedAt') ?? finishedAtMs,
    finishedAtMs,
  }
}
