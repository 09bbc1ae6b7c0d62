/** What planning needs to know of a StatefulSet, a Deployment or a Service. Pure; tolerant of any shape. */
import { APPLIED, IMAGE_DIGEST, INPUTS, REVISION, REVISION_LABEL } from '../../crd/labels.ts'
import { fieldsOf, type Fields } from '../../crd/view.ts'
import { digestIn } from '../../image/digest.ts'
import type { Digest } from '../../image/types.ts'
import { podClaims } from './claim-uses.ts'
import type { PodClaim, KubeObject, ObservedService, ObservedWorkload } from './types.ts'
import { appliedOf, driftOf } from './drift.ts'
import {
  conditionOf,
  countAt,
  listAt,
  metadataOf,
  observedObject,
  sentenceAt,
  textsOf,
  wordAt,
} from './observe-fields.ts'

/** More addresses than a person reads. */
const MAX_INGRESS = 16

/** undefined for any other kind, and for an object without name or uid. */
export function observeWorkload(object: KubeObject): ObservedWorkload | undefined {
  const common = observedObject(object, ['StatefulSet', 'Deployment'])
  if (common === undefined) return undefined
  const spec = fieldsOf(object['spec'])
  const status = fieldsOf(object['status'])
  const { annotations } = metadataOf(object)
  const applied = appliedReader(object)
  const template = fieldsOf(spec['template'])
  const templateMeta = fieldsOf(template['metadata'])
  const marks = textsOf(templateMeta['annotations'])
  return {
    ...common,
    revision:
      marks[REVISION] ?? textsOf(templateMeta['labels'])[REVISION_LABEL] ?? annotations[REVISION] ?? '',
    digest: imageDigestIn(marks) ?? imageDigestIn(annotations),
    inputs: annotations[INPUTS],
    drifted: hasDrifted(object, applied),
    get applied() {
      return applied()
    },
    // The API server's own default, for an object that somebody else applied without it.
    specReplicas: spec['replicas'] === undefined ? 1 : countAt(spec, 'replicas'),
    replicas: countAt(status, 'replicas'),
    readyReplicas: countAt(status, 'readyReplicas'),
    updatedReplicas: countAt(status, 'updatedReplicas'),
    availableReplicas: countAt(status, 'availableReplicas'),
    observed: countAt(status, 'observedGeneration') >= countAt(fieldsOf(object.metadata), 'generation'),
    updateRevision: wordAt(status, 'updateRevision'),
    ...claimsIn(fieldsOf(template['spec'])),
    trouble: workloadTroubleOf(status),
  }
}

/** undefined for any other kind, and for an object without name or uid. */
export function observeService(object: KubeObject): ObservedService | undefined {
  const common = observedObject(object, ['Service'])
  if (common === undefined) return undefined
  const clusterIP = wordAt(fieldsOf(object['spec']), 'clusterIP')
  const applied = appliedReader(object)
  const balancer = fieldsOf(fieldsOf(object['status'])['loadBalancer'])
  return {
    ...common,
    drifted: hasDrifted(object, applied),
    get applied() {
      return applied()
    },
    clusterIP,
    ingress: listAt(balancer, 'ingress')
      .slice(0, MAX_INGRESS)
      .flatMap((entry) => wordAt(entry, 'hostname') ?? wordAt(entry, 'ip') ?? []),
  }
}

/** Of a PodSpec; most have none, and ten thousand are kept. */
export function claimsIn(podSpec: Fields): { readonly claims?: readonly PodClaim[] } {
  const claims = podClaims(podSpec)
  return claims.length === 0 ? {} : { claims }
}

/** The digest that annotations name, when it is one. */
export function imageDigestIn(annotations: Readonly<Record<string, string>>): Digest | undefined {
  return digestIn(annotations[IMAGE_DIGEST])
}

function hasDrifted(object: KubeObject, read: () => KubeObject | undefined): boolean {
  const applied = read()
  return applied !== undefined && driftOf(object, applied).length > 0
}

/**
 * Reads the applied document anew each time: as text it takes a fraction of the memory, and 10,000 apps that rest are
 * looked at once in a while only.
 */
function appliedReader(object: KubeObject): () => KubeObject | undefined {
  const text = metadataOf(object).annotations[APPLIED]
  if (text === undefined) return () => undefined
  const { apiVersion, kind } = object
  const { name, namespace } = object.metadata
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) }
  return () => appliedOf({ apiVersion, kind, metadata: { ...metadata, annotations: { [APPLIED]: text } } })
}

/** A condition that says why the controller of the workload can't make its pods. */
function workloadTroubleOf(status: Fields): ObservedWorkload['trouble'] {
  const failure = conditionOf(status, 'ReplicaFailure')
  const progress = conditionOf(status, 'Progressing')
  const failing =
    failure['status'] === 'True' ? failure : progress['status'] === 'False' ? progress : undefined
  const message = failing === undefined ? undefined : sentenceAt(failing, 'message')
  if (failing === undefined || message === undefined) return undefined
  return { reason: wordAt(failing, 'reason') ?? 'ReplicaFailure', message }
}
