/** Renders what is wanted into the objects of a cluster. Pure: equal input gives equal bytes. */
import { INPUTS, REVISION } from '../../crd/labels.ts'
import { fieldsOf } from '../../crd/view.ts'
import { refuseErrors, type Issue } from '../../errors.ts'
import { canonicalJson } from '../canonical-json.ts'
import type { Desired } from '../types.ts'
import { renderClaims, singleWriter, unmatchedVolumes, type ClaimModes } from './claims.ts'
import { withApplied } from './drift.ts'
import { inputsHash } from './inputs.ts'
import { overlayIssues } from './overlay-rules.ts'
import { podSecurityIssues } from './pod-security.ts'
import { mountPathIssues, podVolumeName } from './pod-volumes.ts'
import { renderService } from './service.ts'
import type { ClusterOptions, KubeObject, RenderedCluster, WorkloadKind } from './types.ts'
import { renderWorkload } from './workload.ts'

/** A StatefulSet labels its pods with its name, a dash and ten characters: 63 in all. */
const MAX_STATEFUL_NAME = 52

/**
 * `claimModes`: access modes of claims that the user brought; one that is not in it counts as made for one writer.
 * @throws IssuesError with everything that can't be rendered; ExpectedError ImageNotPullable for a layout.
 */
export function renderCluster(
  desired: Desired,
  options: ClusterOptions,
  claimModes: ClaimModes = {},
): RenderedCluster {
  const { app, image } = desired
  const inputs = inputsHash(app, image.digest)
  const kind: WorkloadKind = singleWriter(desired, claimModes) === undefined ? 'Deployment' : 'StatefulSet'
  const warnings = refuseErrors(renderIssues(desired, options, claimModes))
  const workload = renderWorkload(desired, options, kind)
  const service = renderService(app)
  return {
    workload: finished({
      ...workload,
      metadata: { ...workload.metadata, annotations: { ...workload.metadata.annotations, [INPUTS]: inputs } },
    }),
    service: service === undefined ? undefined : finished(service),
    claims: renderClaims(desired, options.defaultVolumeSize).map((claim) => ({
      ...claim,
      object: sorted(claim.object),
    })),
    inputs,
    warnings,
  }
}

/**
 * The workload with the pod template of the document that was applied before, when both are of one revision: what
 * another version of Fairlead, or another choice of the operator, would render differently restarts no app (DESIGN §6).
 */
export function keepTemplate<T extends KubeObject>(workload: T, applied: KubeObject | undefined): T {
  const old = fieldsOf(fieldsOf(applied)['spec'])['template']
  if (old === undefined || templateRevision(applied) !== templateRevision(workload)) return workload
  return finished({ ...workload, spec: { ...fieldsOf(workload['spec']), template: old } })
}

function templateRevision(workload: KubeObject | undefined): unknown {
  const template = fieldsOf(fieldsOf(fieldsOf(workload)['spec'])['template'])
  return fieldsOf(fieldsOf(template['metadata'])['annotations'])[REVISION]
}

function renderIssues(desired: Desired, options: ClusterOptions, claimModes: ClaimModes): readonly Issue[] {
  const { app, volumes } = desired
  return [
    ...overlayIssues(app, {
      mountPaths: volumes.flatMap(({ path, destination }) => [path, destination]),
      volumeNames: volumes.map((volume) => podVolumeName(app, volume)),
    }),
    ...mountPathIssues(volumes),
    ...unmatchedVolumes(desired),
    ...podSecurityIssues(desired, options.podSecurity),
    ...writerIssues(desired, claimModes),
  ]
}

function writerIssues(desired: Desired, claimModes: ClaimModes): readonly Issue[] {
  const single = singleWriter(desired, claimModes)
  if (single === undefined) return []
  const { name } = desired.app.metadata
  const replicas = desired.app.spec.replicas ?? 1
  const issue = (path: string, message: string): Issue => ({
    severity: 'error',
    reason: 'InvalidSpec',
    path,
    message,
  })
  return [
    ...(replicas > 1
      ? [
          issue(
            'spec.replicas',
            `found ${replicas}; must be at most 1, because ${single.what} is for one writer: ${single.remedy}`,
          ),
        ]
      : []),
    ...(name.length > MAX_STATEFUL_NAME
      ? [
          issue(
            'metadata.name',
            `has ${name.length} characters; an app with a volume for one writer is a StatefulSet, whose name may have ${MAX_STATEFUL_NAME}`,
          ),
        ]
      : []),
  ]
}

function finished<T extends KubeObject>(object: T): T {
  return sorted(withApplied(object))
}

/** One order of keys, however the input was written. */
function sorted<T extends KubeObject>(object: T): T {
  return JSON.parse(canonicalJson(object)) as T
}
