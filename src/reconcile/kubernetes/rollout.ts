/**
 * Replaces the pod of a StatefulSet whose template has changed. Its own controller never does (`OnDelete`): the pod goes
 * by our hand, by its uid, only when the controller has seen the new template, and the next one comes only after it.
 */
import { deleteOf } from './documents.ts'
import { GO_ON, isOver, type Stage } from './plan-context.ts'
import type { ObservedPod, ObservedWorkload } from './types.ts'

export function planRollout(workload: ObservedWorkload, appPods: readonly ObservedPod[]): Stage {
  if (workload.kind !== 'StatefulSet' || workload.specReplicas === 0 || workload.deleting) return GO_ON
  const outdated = appPods.filter((pod) => isOutdated(workload, pod))
  const [next] = outdated
  if (next === undefined) return GO_ON
  const waiting = (message: string) => ({ reason: 'Progressing' as const, message })
  if (!workload.observed)
    return { steps: [], waiting: waiting('the cluster has not yet seen the new revision') }
  const ending = appPods.find(({ deleting }) => deleting)
  if (ending !== undefined)
    return {
      steps: [],
      waiting: waiting(`the pod ${ending.name} is ending; the next one starts when it is gone`),
    }
  const why =
    next.revision === workload.revision
      ? 'the template has changed'
      : `revision ${workload.revision} is ready`
  return {
    steps: [deleteOf(next, why)],
    waiting: waiting(`the pod ${next.name} is replaced by one of revision ${workload.revision}`),
  }
}

/**
 * Of another revision, or made from another template (`kubectl rollout restart`), whatever state it is in: a pod that
 * can't start is not replaced by anybody else. Pods that nobody controls are somebody's own copies.
 */
function isOutdated(workload: ObservedWorkload, pod: ObservedPod): boolean {
  if (pod.controllerUid !== workload.uid || isOver(pod)) return false
  if (pod.revision !== workload.revision) return true
  const { updateRevision, observed } = workload
  return (
    observed &&
    updateRevision !== undefined &&
    pod.templateHash !== undefined &&
    pod.templateHash !== updateRevision
  )
}
