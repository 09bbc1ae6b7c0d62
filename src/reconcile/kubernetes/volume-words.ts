/** What the status says about the volumes of a cluster, beside what every engine says of them. Pure. */
import type { VolumeWords } from '../types.ts'
import { isOver, type PlanContext } from './plan-context.ts'
import { claimNameOf } from './preflight-need.ts'
import { isVolumePrepared } from './seeded.ts'
import type { ObservedClaim } from './types.ts'

/** One entry for each wanted volume that is on a claim. */
export function volumeWords(context: PlanContext): readonly VolumeWords[] {
  return context.desired.volumes.flatMap((volume) => {
    const name = claimNameOf(context.rendered.claims, volume)
    if (name === undefined) return []
    const seen = context.claim(name)
    const own = volume.storage.kind === 'own'
    return [
      {
        path: volume.path,
        phase: phaseOf(context, volume.path, seen, own),
        capacityBytes: seen?.capacityBytes,
        message: messageOf(name, seen),
      },
    ]
  })
}

function phaseOf(
  { facts, preflight }: PlanContext,
  path: string,
  seen: ObservedClaim | undefined,
  own: boolean,
): VolumeWords['phase'] {
  if (seen?.phase === 'Lost') return 'Lost'
  if (!own) return seen?.phase === 'Bound' ? 'Ready' : 'Pending'
  if (isVolumePrepared(path, seen, facts)) return seen?.phase === 'Bound' ? 'Ready' : 'Pending'
  return preflight?.phase === 'Running' && !isOver(preflight) ? 'Seeding' : 'Pending'
}

function messageOf(name: string, seen: ObservedClaim | undefined): string | undefined {
  if (seen === undefined) return `claim ${name} does not exist yet`
  if (seen.phase === 'Lost') return `claim ${name} has lost its volume`
  if (seen.deleting) return `claim ${name} is being deleted`
  return seen.resize?.message
}
