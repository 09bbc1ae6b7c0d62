/**
 * Fields that a cluster can't honour: refused where ignoring them would break a promise, reported where the app still
 * is what the user asked for (invariant 11). Pure, and of the resource alone.
 */
import { normalizePath } from '../../crd/path.ts'
import type { App } from '../../crd/types.ts'
import type { Issue } from '../../errors.ts'
import { overlayIssues } from './overlay-rules.ts'

export function clusterSupportIssues(app: App): Issue[] {
  const { spec } = app
  return [
    ...hookIssues(app),
    ...execIssues(app),
    ...hostPathIssues(app),
    ...(spec.imagePolicy?.platform === undefined
      ? []
      : [
          unsupported(
            'spec.imagePolicy.platform',
            'decides what is checked, not what runs: a node takes the image of its own platform; choose nodes with podTemplate.spec.nodeSelector',
          ),
        ]),
    ...overlayIssues(app, {
      mountPaths: (spec.volumes ?? []).map(({ path }) => normalizePath(path)),
      volumeNames: [],
    }),
  ]
}

function hookIssues({ spec }: App): readonly Issue[] {
  if ((spec.hooks ?? []).length === 0) return []
  return [
    {
      severity: 'error',
      reason: 'HooksUnsupported',
      path: 'spec.hooks',
      message:
        'a pod has no field for OCI hooks, so they would not run; remove them, or run the app on one host',
    },
  ]
}

function execIssues({ spec }: App): readonly Issue[] {
  const message = 'a pod has no way to mount a volume noexec; programs on it can be run'
  const fields = (spec.volumes ?? []).flatMap(({ exec }, index) =>
    exec === 'Forbidden' ? [`spec.volumes[${index}].exec`] : [],
  )
  if (spec.volumeDefaults?.exec === 'Forbidden') fields.push('spec.volumeDefaults.exec')
  return fields.map((path) => unsupported(path, message))
}

function hostPathIssues({ spec }: App): readonly Issue[] {
  return (spec.volumes ?? []).flatMap(({ source }, index) =>
    source?.hostPath === undefined
      ? []
      : [
          unsupported(
            `spec.volumes[${index}].source.hostPath`,
            'is a folder of whichever node the pod runs on, and two pods may write to it at a time; use a claim for data',
          ),
        ],
  )
}

function unsupported(path: string, message: string): Issue {
  return { severity: 'warning', reason: 'UnsupportedField', path, message }
}
