/** What was made for apps, as a user's own request sees it: no cache, no right beyond the user's. */
import { APP_LABEL, COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL } from '../../crd/labels.ts'
import { fieldsOf, textOf } from '../../crd/view.ts'
import { broughtClaims } from '../../reconcile/kubernetes/brought-claims.ts'
import { CHILD_TYPES, CLAIMS } from '../../engine/kubernetes/resources.ts'
import type { KubeClient } from '../../engine/kubernetes/api/types.ts'
import { clusterObserved, observeChild } from '../../reconcile/kubernetes/observe.ts'
import { observeClaim } from '../../reconcile/kubernetes/observe-claim.ts'
import type { ClusterObserved, KubeObject, ObservedClaim } from '../../reconcile/kubernetes/types.ts'
import { appId, type AppKey } from '../../reconcile/names.ts'
import type { StoredApp } from '../../reconcile/ports.ts'

/** Everything that carries the app's label, and the claims that its spec brings. */
export async function observeApp(
  client: KubeClient,
  stored: StoredApp,
  nowMs: number,
): Promise<ClusterObserved> {
  const { key } = stored
  const selected = { namespace: key.namespace, labelSelector: `${APP_LABEL}=${key.name}` }
  const claimNames = broughtClaims(stored.resource)
  const [labelled, brought] = await Promise.all([
    Promise.all(Object.values(CHILD_TYPES).map((kind) => client.list(kind, selected))),
    Promise.all(claimNames.map((name) => client.get(CLAIMS, key.namespace, name))),
  ])
  const known = [...labelled.flat(), ...brought.filter((claim) => claim !== undefined)]
  const byUid = new Map(known.map((object) => [object.metadata.uid, object]))
  return clusterObserved({
    key,
    appUid: textOf(fieldsOf(fieldsOf(stored.resource)['metadata'])['uid']) ?? '',
    children: [...byUid.values()].flatMap((object) => observeChild(object) ?? []),
    claimNames,
    expandable: undefined,
    nowMs,
  })
}

/** A claim with the app that its label names. */
export interface AppClaim {
  readonly key: AppKey
  readonly claim: ObservedClaim
}

/** The claims that Fairlead made, of one app or of all in the namespace (all namespaces for undefined); sorted. */
export async function listClaims(
  client: KubeClient,
  namespace: string | undefined,
  app?: string,
): Promise<readonly AppClaim[]> {
  const ours = `${MANAGED_BY_LABEL}=${MANAGED_BY},${COMPONENT_LABEL}=volume`
  const labelSelector = app === undefined ? ours : `${ours},${APP_LABEL}=${app}`
  const objects = await client.list(CLAIMS, { namespace, labelSelector })
  return objects.flatMap(ownClaim).toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
}

function orderOf({ key, claim }: AppClaim): string {
  return `${appId(key)} ${claim.name}`
}

function ownClaim(object: KubeObject): readonly AppClaim[] {
  const claim = observeClaim(object)
  if (claim?.app === undefined) return []
  return [{ key: { namespace: object.metadata.namespace ?? '', name: claim.app }, claim }]
}
