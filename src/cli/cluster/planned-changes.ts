/**
 * What the controller would do to an app's objects in the end, as its own planner says: the stages of a pass, with the
 * preflight taken for done. Pure.
 */
import type { ExpectedError, Issue } from '../../errors.ts'
import { createOf } from '../../reconcile/kubernetes/documents.ts'
import { planClaims } from '../../reconcile/kubernetes/plan-claims.ts'
import { planConflicts } from '../../reconcile/kubernetes/plan-conflicts.ts'
import { planContext, type ClusterPlanInput } from '../../reconcile/kubernetes/plan-context.ts'
import { planService, planWorkload } from '../../reconcile/kubernetes/plan-workload.ts'
import type { ClusterStep } from '../../reconcile/kubernetes/types.ts'

export interface PlannedChanges {
  readonly steps: readonly ClusterStep[]
  readonly warnings: readonly Issue[]
  /** What would keep the controller from going on. */
  readonly problems: readonly ExpectedError[]
}

export function plannedChanges(input: ClusterPlanInput): PlannedChanges {
  const context = planContext(input)
  const claims = planClaims(context)
  const stages = [planConflicts(context), claims, planService(context), planWorkload(context)]
  // A claim that came back empty stops the workload for a while; in the end it is as the last stage wants it.
  const steps = stages.flatMap((stage) => (stage === claims ? stage.steps.filter(isOnClaim) : stage.steps))
  const { kind } = input.rendered.workload
  const makesRoom = steps.some(
    (step) => step.kind === 'delete' && step.target.kind !== 'Service' && step.target.kind !== kind,
  )
  return {
    // A workload of another kind goes first; the next pass makes the new one.
    steps: makesRoom ? [...steps, createOf(input.rendered.workload)] : steps,
    warnings: stages.flatMap(({ warnings }) => warnings ?? []),
    problems: stages.flatMap(({ problem }) => problem?.error ?? []),
  }
}

function isOnClaim(step: ClusterStep): boolean {
  return (step.kind === 'create' || step.kind === 'apply') && step.object.kind === 'PersistentVolumeClaim'
}
