/** `render --engine kubernetes`: the objects that the controller would apply, as a stream of YAML. Needs no cluster. */
import { toYaml } from '../../../crd/to-yaml.ts'
import { invariant } from '../../../errors.ts'
import { clusterObserved } from '../../../reconcile/kubernetes/observe.ts'
import { planContext } from '../../../reconcile/kubernetes/plan-context.ts'
import { preflightNeed } from '../../../reconcile/kubernetes/preflight-need.ts'
import { renderPreflight } from '../../../reconcile/kubernetes/preflight-pod.ts'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import type { RunCommand } from '../../command-spec.ts'
import { requireInput } from '../../input-documents.ts'
import { writeSentences } from '../../output.ts'
import { issueLine } from '../../print-error.ts'
import { examineForCluster, type ClusterExamined } from '../examine.ts'
import { renderSettings, type RenderSettings } from '../render-options.ts'

export const renderForCluster: RunCommand = async (context, call) => {
  const settings = renderSettings(context, call)
  const documents = await requireInput(context, call)
  const objects: KubeObject[] = []
  for (const document of documents.apps) {
    const { secrets } = documents
    const examined = await examineForCluster({ context, document, secrets, settings, claims: [] })
    writeSentences(context, examined.warnings.map(issueLine))
    objects.push(...objectsOf(examined, settings, call.options.flag('preflight')))
  }
  // All of it or nothing: half a stream would be half of what was meant.
  context.stdout.write(
    objects.map((object, index) => `${index === 0 ? '' : '---\n'}${toYaml(object)}`).join(''),
  )
}

/** In the order in which they are made. */
function objectsOf(
  examined: ClusterExamined,
  settings: RenderSettings,
  preflight: boolean,
): readonly KubeObject[] {
  const { workload, service, claims } = examined.rendered
  return [
    ...claims.map(({ object }) => object),
    ...(service === undefined ? [] : [service]),
    ...(preflight ? firstPreflight(examined, settings) : []),
    workload,
  ]
}

/** The pod of a first apply, by the controller's own judgement of what is new; none where nothing is to be prepared. */
function firstPreflight(
  { desired, rendered }: ClusterExamined,
  { options }: RenderSettings,
): readonly KubeObject[] {
  invariant(options.fairleadImage !== '', 'a preflight pod has an image')
  const { key, app } = desired
  const appUid = app.metadata.uid ?? ''
  const nowMs = 0
  const observed = clusterObserved({
    key,
    appUid,
    children: [],
    claimNames: [],
    expandable: undefined,
    nowMs,
  })
  const context = planContext({ appUid, observed, desired, rendered, options, nowMs })
  const need = preflightNeed(context)
  return need === undefined ? [] : [renderPreflight({ ...need, desired, rendered, options })]
}
