/**
 * Who mounts which claim. Two pods that write to a claim made for one writer destroy what is on it (invariant 9), and
 * nothing in Kubernetes keeps two apps apart on one node: ReadWriteOnce speaks of nodes. Pure.
 */
import { fieldsOf, itemsOf, type Fields } from '../../crd/view.ts'
import type {
  ClaimUse,
  KubeObject,
  ObservedObject,
  ObservedPod,
  ObservedWorkload,
  PodClaim,
} from './types.ts'

const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers']

/** The claims of a PodSpec of any shape, each once. */
export function podClaims(podSpec: unknown): readonly PodClaim[] {
  const spec = fieldsOf(podSpec)
  const claims = new Map<string, PodClaim>()
  for (const volume of itemsOf(spec['volumes']).map(fieldsOf)) {
    const source = fieldsOf(volume['persistentVolumeClaim'])
    const name = source['claimName']
    if (typeof name !== 'string' || name === '') continue
    const readOnly = source['readOnly'] === true || !isWritten(spec, volume['name'])
    const before = claims.get(name)
    claims.set(name, claimOf(name, readOnly && (before === undefined || before.readOnly === true)))
  }
  return [...claims.values()]
}

/** The claims of the pods that a workload makes. */
export function workloadClaims(workload: KubeObject | undefined): readonly PodClaim[] {
  return podClaims(fieldsOf(fieldsOf(fieldsOf(workload)['spec'])['template'])['spec'])
}

/** What a child keeps others from: the claims of a pod that lives, and of a workload that is to have pods. */
export function claimsHeldBy(child: ObservedObject): readonly PodClaim[] {
  if (child.kind === 'Pod') {
    const { phase, claims = [] } = child as ObservedPod
    return phase === 'Succeeded' || phase === 'Failed' ? [] : claims
  }
  return isToHavePods(child) ? ((child as ObservedWorkload).claims ?? []) : []
}

/** Of a workload; any other child is to have none. */
export function isToHavePods(child: ObservedObject): boolean {
  if (child.kind !== 'StatefulSet' && child.kind !== 'Deployment') return false
  const { specReplicas, applied } = child as ObservedWorkload
  // Who scales a workload down by hand will find it scaled up again: the app is to run.
  const wanted = fieldsOf(applied?.['spec'])['replicas']
  return specReplicas > 0 || (typeof wanted === 'number' && wanted > 0)
}

/** Whether pods of several apps may write to a claim with these access modes. */
export function isForManyWriters(accessModes: readonly string[]): boolean {
  const onMany = accessModes.every((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany')
  return onMany && accessModes.includes('ReadWriteMany')
}

/** The first use of a claim by another app that rules out `mine`. `holds`: the app runs with the claim already. */
export function rivalOf(
  uses: readonly ClaimUse[],
  mine: PodClaim,
  accessModes: readonly string[],
  holds: boolean,
): ClaimUse | undefined {
  if (isForManyWriters(accessModes)) return undefined
  return uses.find(
    ({ claim, readOnly, is }) =>
      claim === mine.name && !(readOnly && mine.readOnly === true) && !(is === 'wants' && holds),
  )
}

function claimOf(name: string, readOnly: boolean): PodClaim {
  return readOnly ? { name, readOnly } : { name }
}

/** A volume that no container mounts is not written; one that is a block device to some container is. */
function isWritten(spec: Fields, volumeName: unknown): boolean {
  const containers = CONTAINER_LISTS.flatMap((list) => itemsOf(spec[list]).map(fieldsOf))
  return containers.some(
    (container) =>
      itemsOf(container['volumeMounts'])
        .map(fieldsOf)
        .some(({ name, readOnly }) => name === volumeName && readOnly !== true) ||
      itemsOf(container['volumeDevices']).some((device) => fieldsOf(device)['name'] === volumeName),
  )
}
