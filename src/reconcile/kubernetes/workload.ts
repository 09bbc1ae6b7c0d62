/**
 * StatefulSet or Deployment (DESIGN §6). A ReplicaSet starts a second pod while the first still ends, so what has one
 * writer is a StatefulSet whose pods nobody but us replaces (`OnDelete`); the claims are named in the template, because
 * a StatefulSet's own claim templates can never change.
 */
import { IMAGE_DIGEST, IMAGE_REFERENCE, REVISION, REVISION_LABEL } from '../../crd/labels.ts'
import { fieldsOf, itemsOf, type Fields } from '../../crd/view.ts'
import type { Desired } from '../types.ts'
import { wantsToRun } from '../wants-to-run.ts'
import { compactFields, kubeObject } from './compact.ts'
import { appContainer } from './container.ts'
import { childLabels, ownerReferences, selectorLabels } from './metadata.ts'
import { overlaid } from './overlay.ts'
import { podSecurity } from './pod-security.ts'
import { podVolumes } from './pod-volumes.ts'
import type { ClusterOptions, KubeObject, WorkloadKind } from './types.ts'

const REVISION_HISTORY = 2

export function renderWorkload(
  desired: Desired,
  options: ClusterOptions,
  kind: WorkloadKind,
): KubeObject & { readonly kind: WorkloadKind } {
  const { name, namespace } = desired.app.metadata
  const template = podTemplate(desired, options)
  const object = kubeObject(
    { apiVersion: 'apps/v1', kind },
    {
      name,
      namespace,
      labels: childLabels(name, 'app'),
      ownerReferences: ownerReferences(desired.app),
    },
    {
      replicas: replicasOf(desired),
      revisionHistoryLimit: REVISION_HISTORY,
      selector: { matchLabels: selectorLabels(name) },
      ...(kind === 'StatefulSet'
        ? { serviceName: name, podManagementPolicy: 'Parallel', updateStrategy: { type: 'OnDelete' } }
        : { strategy: rollingUpdate(template) }),
      template,
    },
  )
  return { ...object, kind }
}

function replicasOf({ app }: Desired): number {
  return wantsToRun(app.spec) ? (app.spec.replicas ?? 1) : 0
}

/** Two pods on one node can't have one port of it: then the old one goes first. */
function rollingUpdate(template: Fields): Fields {
  const spec = fieldsOf(template['spec'])
  const holdsPorts =
    spec['hostNetwork'] === true ||
    itemsOf(spec['containers'])
      .flatMap((container) => itemsOf(fieldsOf(container)['ports']))
      .some((port) => fieldsOf(port)['hostPort'] !== undefined)
  return {
    type: 'RollingUpdate',
    rollingUpdate: holdsPorts ? { maxUnavailable: 1, maxSurge: 0 } : { maxUnavailable: 0, maxSurge: 1 },
  }
}

/** Ours, with the user's overlay on it. */
function podTemplate(desired: Desired, options: ClusterOptions): Fields {
  const { app, image, revision } = desired
  const ours = compactFields({
    metadata: {
      labels: { ...childLabels(app.metadata.name, 'app'), [REVISION_LABEL]: revision },
      annotations: {
        [IMAGE_REFERENCE]: app.spec.image,
        [IMAGE_DIGEST]: image.digest,
        [REVISION]: revision,
      },
    },
    spec: {
      containers: [appContainer(desired, options)],
      volumes: podVolumes(app, desired.volumes),
      securityContext: podSecurity(desired, options.podSecurity),
      imagePullSecrets: app.spec.pullSecrets,
      terminationGracePeriodSeconds: desired.graceSeconds,
      automountServiceAccountToken: false,
      // Variables of every Service of the namespace: they slow shells down and collide with what images expect.
      enableServiceLinks: false,
    },
  })
  return overlaid(ours, fieldsOf(app.spec.podTemplate))
}
