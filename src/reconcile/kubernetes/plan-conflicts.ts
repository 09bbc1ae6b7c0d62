/** The first stage: objects under our names that are not ours, and those of an app of this name that is gone. */
import { ExpectedError } from '../../errors.ts'
import { objectId } from './documents.ts'
import { GO_ON, stopFor, stopWith, type PlanContext, type Stage } from './plan-context.ts'
import type { ObservedObject } from './types.ts'

/** How long the cluster's garbage collection may take before it is looked at again. */
const COLLECTION_MS = 30_000

export function planConflicts(context: PlanContext): Stage {
  const named = namedObjects(context)
  const foreign = named.find(({ ours }) => !ours)
  if (foreign !== undefined) {
    const message = `there is a ${foreign.kind} ${foreign.name} already that Fairlead did not make for this app; rename the app, or remove it if nobody needs it`
    return stopWith(new ExpectedError('NameConflict', message), 'workload')
  }
  // Garbage collection takes what a deleted app owned; whoever took it over now would have it taken away later.
  const others = [...named, ...context.preflights].filter(
    ({ ownerUid }) => ownerUid !== undefined && ownerUid !== context.appUid,
  )
  const [first] = others
  if (first === undefined) return GO_ON
  const given = others.find(({ otherOwner }) => otherOwner !== undefined)
  if (given !== undefined) return stopWith(givenAway(given), 'workload')
  const message = `${objectId(first)} belongs to an app of this name that was deleted; the app starts when the cluster has removed it`
  return { ...stopFor('Progressing', message), wakeAtMs: context.nowMs + COLLECTION_MS }
}

/** An owner's name is not changed by anything that Fairlead does, so this was done by hand. */
function givenAway(seen: ObservedObject): ExpectedError {
  const message = `${objectId(seen)} is owned by the ContainerApp ${seen.otherOwner ?? ''} now, and would be deleted with it; take that entry out of its ownerReferences`
  return new ExpectedError('NameConflict', message)
}

/** Everything that is there under a name which the app is to have. */
function namedObjects({ observed, rendered, claim }: PlanContext): readonly ObservedObject[] {
  return [
    ...observed.workloads.filter(({ kind, ours }) => ours || kind === rendered.workload.kind),
    ...(observed.service === undefined || (rendered.service === undefined && !observed.service.ours)
      ? []
      : [observed.service]),
    ...rendered.claims.flatMap(({ name }) => claim(name) ?? []),
  ]
}
