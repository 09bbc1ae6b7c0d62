/** Whether a preflight pod is needed before the workload is switched, and for which volumes (DESIGN §6). Pure. */
import type { DesiredVolume } from '../types.ts'
import type { PlanContext } from './plan-context.ts'
import { hasStarted, isOver } from './plan-context.ts'
import { isVolumePrepared } from './seeded.ts'
import type { ObservedClaim, PreflightWish, RenderedClaim } from './types.ts'

export type PreflightNeed = Pick<PreflightWish, 'toSeed' | 'toCheck' | 'nodeName'>

/** undefined: nothing has to be prepared. `facts` of a pod that is over do not count: `toSeed` is what it was for. */
export function preflightNeed(context: PlanContext): PreflightNeed | undefined {
  const { desired, inUse } = context
  const toSeed = desired.volumes.filter((volume) => isNew(context, volume))
  if (toSeed.length === 0 && !replacesRunning(context) && !hasUnproven(context)) return undefined
  const toCheck = desired.volumes.filter(
    (volume) => !toSeed.includes(volume) && isOnDisk(volume) && !isTaken(context, volume, inUse),
  )
  return { toSeed, toCheck, nodeName: runningNode(context) }
}

/** Name of the claim that a volume is on; undefined when it is on none. */
export function claimNameOf(rendered: readonly RenderedClaim[], volume: DesiredVolume): string | undefined {
  if (volume.storage.kind === 'claim') return volume.storage.claimName
  if (volume.storage.kind !== 'own') return undefined
  return rendered.find(({ volumes }) => volumes.some(({ path }) => path === volume.path))?.name
}

/** Memory, ConfigMaps and Secrets have nothing to seed and nothing to prove. */
function isOnDisk({ storage }: DesiredVolume): boolean {
  return storage.kind === 'own' || storage.kind === 'claim' || storage.kind === 'hostPath'
}

/** Ours, not prepared yet, and nothing runs on it: what an app already writes to is not seeded under its feet. */
function isNew({ rendered, claim, inUse, appPods }: PlanContext, volume: DesiredVolume): boolean {
  if (volume.storage.kind !== 'own') return false
  const name = claimNameOf(rendered.claims, volume)
  if (name === undefined || isVolumePrepared(volume.path, claim(name))) return false
  return !(inUse.has(name) && appPods.some((pod) => !isOver(pod) && hasStarted(pod)))
}

/** What one pod alone may mount, and another one has: nobody can look at it beside that one. */
function isTaken(
  { rendered, claim, rival }: PlanContext,
  volume: DesiredVolume,
  inUse: ReadonlySet<string>,
): boolean {
  const name = claimNameOf(rendered.claims, volume)
  const seen: ObservedClaim | undefined = name === undefined ? undefined : claim(name)
  if (seen === undefined) return false
  const alone = inUse.has(seen.name) && seen.accessModes.includes('ReadWriteOncePod')
  return alone || rival({ name: seen.name }) !== undefined
}

/**
 * A volume that must run programs, and was never seen to: also one that a preflight refused, whose seeding is written
 * down already. What was switched once is not asked again.
 */
function hasUnproven(context: PlanContext): boolean {
  const { current, desired, observed, inUse } = context
  const switched = current?.revision === desired.revision && current.specReplicas > 0
  if (switched || !desired.running) return false
  return desired.volumes.some(
    (volume) =>
      volume.exec === 'Required' &&
      isOnDisk(volume) &&
      !isTaken(context, volume, inUse) &&
      observed.execByPath.get(volume.path) !== 'exec',
  )
}

/** A pod that nothing but its end can be replaced by: the new digest must be on the node before it ends. */
function replacesRunning({ current, desired, rendered }: PlanContext): boolean {
  if (current === undefined || !desired.running || current.specReplicas === 0) return false
  const oneWriter = current.kind === 'StatefulSet' || rendered.workload.kind === 'StatefulSet'
  return oneWriter && current.revision !== desired.revision
}

/** Claims for one writer are attached to the node of the pod that has them. */
function runningNode({ current, appPods }: PlanContext): string | undefined {
  if (current?.kind !== 'StatefulSet') return undefined
  return appPods.find((pod) => !isOver(pod) && pod.nodeName !== undefined)?.nodeName
}
