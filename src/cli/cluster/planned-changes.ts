/**
 * What the controller would do to an app's objects in the end, as its own planner says: the stages of a pass, with the
 * preflight taken for done. Pure.
 */
import type { App } from '../../crd/types.ts'
import type { ExpectedError, Issue } from '../../errors.ts'
import { imageRequest } from '../../reconcile/image-request.ts'
import { createOf } from '../../reconcile/kubernetes/documents.ts'
import { planClaims } from '../../reconcile/kubernetes/plan-claims.ts'
import { planConflicts } from '../../reconcile/kubernetes/plan-conflicts.ts'
import { planContext, type ClusterPlanInput } from '../../reconcile/kubernetes/plan-context.ts'
import { planSettled } from '../../reconcile/kubernetes/plan-settled.ts'
import { planService, planWorkload } from '../../reconcile/kubernetes/plan-workload.ts'
import type { ClusterObserved, ClusterStep } from '../../reconcile/kubernetes/types.ts'

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

/**
 * The same for an app that runs what it says already, told without its image as the controller itself does (so an
 * upgrade of Fairlead or other options of its operator make no difference). Undefined: only a rendering can tell.
 */
export function settledChanges(
  app: App,
  observed: ClusterObserved,
  nowMs: number,
): PlannedChanges | undefined {
  const request = imageRequest(app, app.status, nowMs, undefined)
  if (request.kind !== 'keep') return undefined
  const plan = planSettled({ observed, app, appUid: app.metadata.uid ?? '', pin: request.digest })
  // Pods come and go without anybody's asking for a difference.
  const steps = plan?.steps.filter(({ kind }) => kind === 'apply' || kind === 'create')
  return steps === undefined ? undefined : { steps, warnings: [], problems: [] }
}

function isOnClaim(step: ClusterStep): boolean {
  return (step.kind === 'create' || step.kind === 'apply') && step.object.kind === 'PersistentVolumeClaim'
}
