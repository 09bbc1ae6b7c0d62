/**
 * The last stages: the Service, the workload, and its pods. A workload of the other kind goes first and its pods with
 * it, so that no claim ever has two.
 */
import { APPLIED } from '../../crd/labels.ts'
import { keepTemplate } from './render.ts'
import { applyTo, createOf, deleteOf, isApplied, mendOf, objectId, withReplicas } from './documents.ts'
import { GO_ON, isOver, stopFor, type PlanContext, type Stage } from './plan-context.ts'
import type { ClusterStep, KubeObject, ObservedPod, ObservedWorkload } from './types.ts'

export function planService({ rendered, observed }: PlanContext): Stage {
  const { service: seen } = observed
  const { service: wanted } = rendered
  if (wanted === undefined)
    return seen === undefined || !seen.ours || seen.deleting
      ? GO_ON
      : { steps: [deleteOf(seen, 'the app has no ports, or wants no Service')] }
  if (seen === undefined) return { steps: [createOf(wanted)] }
  if (seen.deleting)
    return stopFor('Progressing', `${objectId(seen)} is being removed; it is made again then`)
  const same = !seen.drifted && isApplied(seen.applied, wanted) && seen.ownerUid !== undefined
  return same ? GO_ON : { steps: [applyTo(seen, wanted)] }
}

export function planWorkload(context: PlanContext): Stage {
  const { current, rendered, observed, appUid } = context
  const mine = observed.workloads.filter(({ ours, ownerUid }) => ours && (ownerUid ?? appUid) === appUid)
  const leaving = mine.find(({ deleting }) => deleting)
  const other = mine.find(({ kind, deleting }) => kind !== rendered.workload.kind && !deleting)
  if (other !== undefined) return replaceKind(context, other)
  if (leaving !== undefined)
    return stopFor(
      'Progressing',
      `${objectId(leaving)} is being removed; the next one is made when it is gone`,
    )
  if (current === undefined) return createWorkload(context)
  const wanted = keepTemplate(rendered.workload, current.applied)
  return isWanted(current, wanted, rendered.inputs) ? GO_ON : { steps: [applyTo(current, wanted)] }
}

function replaceKind({ rendered }: PlanContext, other: ObservedWorkload): Stage {
  const { kind } = rendered.workload
  const why = `the app is a ${kind} now`
  return stopFor('Progressing', `${objectId(other)} makes room for a ${kind}`, [deleteOf(other, why)])
}

/** A pod that another controller made, or that a StatefulSet would not take over, would be a second one on the claims. */
function createWorkload({ rendered, appPods }: PlanContext): Stage {
  const { kind, metadata } = rendered.workload
  const rival = appPods.find(
    (pod) => !isOver(pod) && !(kind === 'StatefulSet' && isAdopted(pod, metadata.name)),
  )
  if (rival === undefined) return { steps: [createOf(rendered.workload)] }
  const message =
    rival.controllerUid === undefined && !rival.deleting
      ? `the pod ${rival.name} carries the app's labels and nobody controls it; delete it, the ${kind} is made when it is gone`
      : `the pod ${rival.name} is ending; the ${kind} is made when it is gone`
  return stopFor('Progressing', message)
}

/** What `kubectl delete --cascade=orphan` left: the StatefulSet finds its own pod by name. */
function isAdopted({ name, controllerUid, deleting }: ObservedPod, workload: string): boolean {
  return name === `${workload}-0` && controllerUid === undefined && !deleting
}

function isWanted(current: ObservedWorkload, wanted: KubeObject, inputs: string): boolean {
  if (current.drifted || current.ownerUid === undefined) return false
  // A document that is too large for an annotation is known by what it was made from.
  if (wanted.metadata.annotations?.[APPLIED] === undefined && current.applied === undefined)
    return current.inputs === inputs
  return isApplied(current.applied, wanted)
}

/**
 * What is done for the workload that is there while the new revision is held up: it is suspended when the user said so,
 * and what others wrote over it is mended. Nothing else of it is touched.
 */
export function holdWorkload(
  current: ObservedWorkload | undefined,
  running: boolean,
): readonly ClusterStep[] {
  if (current === undefined || current.deleting || !current.ours) return []
  if (!running && current.specReplicas > 0 && current.applied !== undefined)
    return [applyTo(current, withReplicas(current.applied, 0))]
  return mendOf(current)
}
