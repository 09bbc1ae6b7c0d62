/** Why an app of a cluster is not (fully) ready, from its pods and its workload. Pure; the first cause wins. */
import { printable, type Reason, type Retry } from '../../errors.ts'
import type { Trouble } from '../types.ts'
import { STEADY_MS, podSteadyAtMs, steadyAtMs } from './steady.ts'
import type { ObservedContainer, ObservedPod, ObservedWorkload } from './types.ts'

export interface PodTrouble extends Trouble {
  /** Everything here may pass by itself, or when somebody mends what the pod names: nothing waits for an edit. */
  readonly retry: Retry
}

const MAX_MESSAGE = 500
/** A container that ran for so long begins anew for the kubelet: its pauses are short again. */
const FORGIVEN_MS = 10 * 60_000

/** What the kubelet says while a container waits, in our words. */
const WAITING_REASONS: Readonly<Record<string, Reason>> = {
  ErrImagePull: 'ImageNotPullable',
  ImagePullBackOff: 'ImageNotPullable',
  ErrImageNeverPull: 'ImageNotPullable',
  InvalidImageName: 'ImageNotPullable',
  ImageInspectError: 'ImageNotPullable',
  RegistryUnavailable: 'ImageNotPullable',
  SignatureValidationFailed: 'ImageNotPullable',
  CreateContainerConfigError: 'NotFound',
  CreateContainerError: 'RuntimeFailed',
  RunContainerError: 'RuntimeFailed',
  PreCreateHookError: 'RuntimeFailed',
  PreStartHookError: 'RuntimeFailed',
  PostStartHookError: 'HookFailed',
}

/** Why nothing (or not everything) of the workload is ready; undefined when all is well or nothing is wanted. */
export function podTrouble(
  pods: readonly ObservedPod[],
  workload: ObservedWorkload | undefined,
  nowMs: number,
  refusal: ObservedWorkload['trouble'] = workload?.trouble,
): PodTrouble | undefined {
  const wanted = workload?.specReplicas ?? 0
  const alive = pods.filter(({ role, deleting }) => role === 'app' && !deleting)
  const bad = alive.filter((pod) => !pod.ready || podSteadyAtMs(pod, nowMs) !== undefined)
  if (workload === undefined || wanted === 0) return undefined
  if (bad.length === 0 && alive.length >= wanted && workload.readyReplicas >= wanted) return undefined
  const cause = newestFirst(bad)
    .map((pod) => oneTrouble(pod, nowMs))
    .find((found) => found !== undefined)
  const refused = alive.length < wanted ? refusal : undefined
  return cause ?? workloadTrouble(workload, refused) ?? endingPods(pods) ?? starting(bad[0])
}

/** What keeps one pod from being ready, when its state says so. */
export function oneTrouble(pod: ObservedPod, nowMs: number): PodTrouble | undefined {
  if (pod.unschedulable !== undefined)
    return told('Unschedulable', `no node takes the pod ${pod.name}: ${pod.unschedulable}`)
  for (const container of [...pod.initContainers, ...pod.containers]) {
    const found = containerTrouble(pod, container, nowMs)
    if (found !== undefined) return found
  }
  if (pod.phase === 'Failed')
    return told(
      'Exited',
      `the pod ${pod.name} ended (${[pod.reason, pod.message].filter((word) => word !== undefined).join(': ') || 'no reason is given'})`,
    )
  return undefined
}

function containerTrouble(
  pod: ObservedPod,
  container: ObservedContainer,
  nowMs: number,
): PodTrouble | undefined {
  const { name, state, reason, message } = container
  if (state === 'waiting' && reason === 'CrashLoopBackOff') return crashed(container)
  const known = state === 'waiting' && reason !== undefined ? WAITING_REASONS[reason] : undefined
  if (known !== undefined)
    return told(known, `container ${name} of the pod ${pod.name} can't start: ${message ?? reason ?? ''}`)
  // An init container that ended well has done its work.
  if (state === 'terminated' && container.exitCode !== 0) return ended(container, 'ended')
  return steadyAtMs(container, nowMs) === undefined ? undefined : cameBack(container)
}

function crashed({ name, last, restarts }: ObservedContainer): PodTrouble {
  if (last?.reason === 'OOMKilled') return oom(name)
  return told(
    'CrashLoopBackOff',
    `container ${name} ${lastEnd(last)}; started ${restarts + 1} times, the kubelet waits before the next`,
  )
}

/** It runs, as it did each time before it ended. */
function cameBack({ name, last, restarts }: ObservedContainer): PodTrouble {
  if (last?.reason === 'OOMKilled') return oom(name)
  const ranMs = last === undefined ? 0 : last.finishedAtMs - last.startedAtMs
  return told(
    restarts > 1 && ranMs < FORGIVEN_MS ? 'CrashLoopBackOff' : 'Exited',
    `container ${name} ${lastEnd(last)}; it was started again and counts as ready when it has run for ${STEADY_MS / 1000} s`,
  )
}

function lastEnd(last: ObservedContainer['last']): string {
  return last === undefined
    ? 'ends again and again'
    : `ended with exit code ${last.exitCode}${words(last.message)}`
}

function ended({ name, exitCode, reason, message }: ObservedContainer, verb: string): PodTrouble {
  if (reason === 'OOMKilled') return oom(name)
  const failedToStart = reason === 'StartError' || reason === 'ContainerCannotRun'
  const how = `container ${name} ${verb} with exit code ${exitCode ?? -1}${words(message)}`
  return told(failedToStart ? 'RuntimeFailed' : 'Exited', how)
}

function oom(name: string): PodTrouble {
  return told(
    'OutOfMemory',
    `container ${name} was killed because it used more memory than it may; raise spec.resources.limits.memory`,
  )
}

function words(message: string | undefined): string {
  return message === undefined ? '' : `: ${message}`
}

/** The workload's controller can't make a pod: what it says is the API server's answer to it. */
function workloadTrouble(
  { kind, name }: ObservedWorkload,
  refusal: ObservedWorkload['trouble'],
): PodTrouble | undefined {
  if (refusal === undefined) return undefined
  return told(refusalReason(refusal.message), `${kind} ${name} can't make its pods: ${refusal.message}`)
}

/** 403 has many senders; each has its own words. */
function refusalReason(message: string): Reason {
  if (/quota/i.test(message)) return 'QuotaExceeded'
  return message.includes('violates PodSecurity') ? 'PodSecurityRestricted' : 'ClusterRejected'
}

function endingPods(pods: readonly ObservedPod[]): PodTrouble | undefined {
  const ending = pods.find(({ role, deleting }) => role === 'app' && deleting)
  if (ending === undefined) return undefined
  return told('Progressing', `the pod ${ending.name} is ending; the next one starts when it is gone`)
}

function starting(pod: ObservedPod | undefined): PodTrouble {
  if (pod === undefined) return told('Starting', 'the pod is being made')
  const running = pod.containers.some(({ state }) => state === 'running')
  return told(
    'Starting',
    running ? `the pod ${pod.name} runs and is not ready yet` : `the pod ${pod.name} is being started`,
  )
}

function newestFirst(pods: readonly ObservedPod[]): readonly ObservedPod[] {
  return pods.toSorted((a, b) => b.createdAtMs - a.createdAtMs)
}

function told(reason: Trouble['reason'], message: string): PodTrouble {
  return { reason, message: printable(message, MAX_MESSAGE), retry: 'backoff' }
}
