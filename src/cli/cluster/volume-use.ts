/** Who uses a claim: a pod that mounts it, or an app that would start one at any moment. */
import { fieldsOf, itemsOf } from '../../crd/view.ts'
import type { KubeClient } from '../../engine/kubernetes/api/types.ts'
import { CONTAINER_APPS, PODS } from '../../engine/kubernetes/resources.ts'
import { ExpectedError, printable } from '../../errors.ts'
import type { KubeObject, ObservedClaim } from '../../reconcile/kubernetes/types.ts'
import { appId } from '../../reconcile/names.ts'
import { storedWantsToRun } from '../wants-to-run.ts'
import type { AppClaim } from './children.ts'
import { storedApp } from './target.ts'

/**
 * Throws VolumeInUse. Pods of everybody are looked at: a claim that is deleted under one is gone at its next start.
 */
export async function refuseUsedClaim(client: KubeClient, { key, claim }: AppClaim): Promise<void> {
  const pods = await client.list(PODS, { namespace: key.namespace })
  const user = pods.find((pod) => mountsClaim(pod, claim))
  const name = appId(key)
  if (user !== undefined)
    throw inUse(
      `the pod ${printable(user.metadata.name)} mounts the claim ${claim.name}; suspend its app first`,
    )
  const object = await client.get(CONTAINER_APPS, key.namespace, key.name)
  const stored = object === undefined ? undefined : storedApp(object)
  const declared = stored?.status?.volumes?.filter(({ origin }) => origin !== 'Orphaned')
  // Without a status nobody knows: an app that was just applied again is about to find its data.
  const isDeclared = declared?.some(({ path }) => claim.paths.includes(path)) ?? true
  if (storedWantsToRun(stored) && isDeclared)
    throw inUse(`${name} uses the claim ${claim.name} and is to run; suspend or delete it first`)
}

function inUse(message: string): ExpectedError {
  return new ExpectedError('VolumeInUse', message)
}

/** A pod that has ended holds nothing any more. */
function mountsClaim(pod: KubeObject, { name }: ObservedClaim): boolean {
  const phase = fieldsOf(pod['status'])['phase']
  if (phase === 'Succeeded' || phase === 'Failed') return false
  return itemsOf(fieldsOf(pod['spec'])['volumes']).some(
    (volume) => fieldsOf(fieldsOf(volume)['persistentVolumeClaim'])['claimName'] === name,
  )
}
