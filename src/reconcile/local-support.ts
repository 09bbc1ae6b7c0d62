/**
 * Fields that the local engine can't honour: refused where ignoring them would break a promise, reported where the app
 * still is what the user asked for (invariant 11). Pure.
 */
import type { App } from '../crd/types.ts'
import type { Issue } from '../errors.ts'

export function localSupportIssues(app: App): Issue[] {
  const { spec } = app
  const issues: Issue[] = []
  const refuse = (path: string, message: string) =>
    issues.push({ severity: 'error', reason: 'UnsupportedField', path, message })
  const report = (path: string, message: string) =>
    issues.push({ severity: 'warning', reason: 'UnsupportedField', path, message })

  if ((spec.replicas ?? 1) > 1) {
    refuse(
      'spec.replicas',
      `${spec.replicas} replicas would share one host's ports; the local engine runs 0 or 1`,
    )
  }
  for (const name of Object.keys(spec.resources?.limits ?? {})) {
    if (name === 'cpu' || name === 'memory') continue
    const message =
      'the local engine holds limits of cpu and memory only; a limit that would not hold is refused'
    issues.push({
      severity: 'error',
      reason: 'LimitUnsupported',
      path: `spec.resources.limits.${name}`,
      message,
    })
  }
  for (const name of Object.keys(spec.resources?.requests ?? {})) {
    if (name !== 'cpu' && name !== 'memory')
      report(`spec.resources.requests.${name}`, 'has no meaning on one host')
  }
  for (const [index, port] of (spec.ports ?? []).entries()) {
    if (port.hostPort !== undefined && port.hostPort !== port.port) {
      refuse(
        `spec.ports[${index}].hostPort`,
        `${port.hostPort} differs from port ${port.port}; the local engine runs on the host's network, so make the app listen on ${port.hostPort} and set both alike`,
      )
    }
  }
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    if (volume.dataSourceRef !== undefined) {
      refuse(
        `spec.volumes[${index}].dataSourceRef`,
        'the local engine has no snapshots to restore from; use fairlead volumes import',
      )
    }
    if (volume.storageClassName !== undefined)
      report(`spec.volumes[${index}].storageClassName`, 'has no meaning on one host; the volume is a folder')
    if (volume.size !== undefined && volume.medium !== 'Memory') {
      report(
        `spec.volumes[${index}].size`,
        'is not enforced on one host; the volume is a folder and can grow',
      )
    }
  }
  if (spec.volumeDefaults?.storageClassName !== undefined)
    report('spec.volumeDefaults.storageClassName', 'has no meaning on one host')
  if (spec.volumeDefaults?.layout !== undefined)
    report('spec.volumeDefaults.layout', 'has no meaning on one host; every path has its own folder')
  if (spec.probes !== undefined)
    report('spec.probes', 'is not run by the local engine yet; Ready means that the process is up')
  if (spec.podTemplate !== undefined) report('spec.podTemplate', 'is for Kubernetes only')
  if (spec.service !== undefined)
    report('spec.service', "is for Kubernetes; here the app's ports are open on the host's own addresses")
  if (spec.securityContext?.fsGroup !== undefined) {
    report('spec.securityContext.fsGroup', "is for Kubernetes; here volumes keep the image's owners")
  }
  return issues
}
