/** Where the preflight pod may run: where the app may. */
import { fieldsOf, itemsOf, presentOf, type Fields } from '../../crd/view.ts'

/** Taken over from the app's pod as they are. `hostUsers` decides which flags of a mount the kernel locks. */
const SAME_FIELDS = [
  'nodeSelector',
  'tolerations',
  'priorityClassName',
  'preemptionPolicy',
  'runtimeClassName',
  'schedulerName',
  'serviceAccountName',
  'hostUsers',
]

/**
 * `nodeName`: the node of the running pod. It becomes an affinity and never `spec.nodeName`, which goes past the
 * scheduler. What keeps pods of the app apart is left out then, since the running pod itself would keep us away.
 */
export function preflightScheduling(podSpec: Fields, nodeName: string | undefined): Fields {
  if (nodeName === undefined)
    return picked(podSpec, [...SAME_FIELDS, 'affinity', 'topologySpreadConstraints'])
  const { nodeAffinity } = fieldsOf(podSpec['affinity'])
  return {
    ...picked(podSpec, SAME_FIELDS),
    affinity: { nodeAffinity: onNode(fieldsOf(nodeAffinity), nodeName) },
  }
}

function picked(podSpec: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(presentOf(podSpec, names).map((field) => [field, podSpec[field]]))
}

/** The terms of a selector are alternatives, so each of them has to name the node. */
function onNode(nodeAffinity: Fields, nodeName: string): Fields {
  const field = 'requiredDuringSchedulingIgnoredDuringExecution'
  const here = { key: 'metadata.name', operator: 'In', values: [nodeName] }
  const terms = itemsOf(fieldsOf(nodeAffinity[field])['nodeSelectorTerms']).map(fieldsOf)
  const pinned = (terms.length === 0 ? [{}] : terms).map((term) => ({
    ...term,
    matchFields: [...itemsOf(fieldsOf(term)['matchFields']), here],
  }))
  return { ...nodeAffinity, [field]: { nodeSelectorTerms: pinned } }
}
