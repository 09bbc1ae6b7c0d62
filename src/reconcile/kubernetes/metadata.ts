/**
 * Labels and owners of what is made for an app. None of the resource's own labels and annotations are copied: a GitOps
 * tool's tracking id on a child would make the tool claim the child and prune it.
 */
import {
  API_VERSION,
  APP_LABEL,
  COMPONENT_LABEL,
  KIND,
  MANAGED_BY,
  MANAGED_BY_LABEL,
} from '../../crd/labels.ts'
import type { App } from '../../crd/types.ts'
import type { OwnerReference } from './types.ts'

export const NAME_LABEL = 'app.kubernetes.io/name'

export type Component = 'app' | 'preflight' | 'volume'

/** What Service and workload select pods by. Immutable for ever; preflight pods carry the first label, not the second. */
export function selectorLabels(appName: string): Readonly<Record<string, string>> {
  return { [APP_LABEL]: appName, [COMPONENT_LABEL]: 'app' }
}

/** The same as one text, for the scale subresource. */
export function selectorText(appName: string): string {
  return Object.entries(selectorLabels(appName))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/**
 * A preflight pod has no name label: an app that keeps its own pods apart by that label would keep the preflight pod
 * away from the very node it has to run on.
 */
export function childLabels(appName: string, component: Component): Readonly<Record<string, string>> {
  return {
    [APP_LABEL]: appName,
    [COMPONENT_LABEL]: component,
    [MANAGED_BY_LABEL]: MANAGED_BY,
    ...(component === 'preflight' ? {} : { [NAME_LABEL]: appName }),
  }
}

/** Empty for a resource that no server has seen: `fairlead render` of a file. */
export function ownerReferences(app: App, controller = true): readonly OwnerReference[] {
  const { name, uid } = app.metadata
  if (uid === undefined) return []
  return [{ apiVersion: API_VERSION, kind: KIND, name, uid, controller, blockOwnerDeletion: false }]
}
