/** Objects of the tiny cluster, and small questions to them. */
import { fieldsOf, itemsOf } from '../../../src/crd/view.ts'
import { canonicalJson } from '../../../src/reconcile/canonical-json.ts'
import { shortHash } from '../../../src/reconcile/names.ts'

export const APP_ROLE = 'fairlead.dev/component'

export interface Live {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace: string
    uid: string
    generation: number
    resourceVersion: string
    labels: Record<string, string>
    annotations: Record<string, string>
    ownerReferences: { kind: string; name: string; uid: string; controller?: boolean }[]
    creationTimestamp: string
    deletionTimestamp?: string
  }
  spec: Record<string, unknown>
  status: Record<string, unknown>
}

export interface TaskVolume {
  readonly path: string
  readonly action: string
  readonly exec: string
}

export function taskOf(pod: Live): readonly TaskVolume[] {
  const [container] = itemsOf(pod.spec['containers'])
  const task = itemsOf(fieldsOf(container)['env']).find(
    (entry) => fieldsOf(entry)['name'] === 'FAIRLEAD_PREFLIGHT',
  )
  return (JSON.parse(String(fieldsOf(task)['value'])) as { volumes: TaskVolume[] }).volumes
}

export function seedsOn(pod: Live, claim: Live): boolean {
  const paths = claim.metadata.annotations['fairlead.dev/volume-path'] ?? ''
  return taskOf(pod).some(({ path, action }) => action !== 'Check' && paths.includes(`"${path}"`))
}

export function idOf({ kind, metadata }: Live): string {
  return `${kind}/${metadata.name}`
}

export function own(pod: Live, owner: Live): void {
  const { name, uid } = owner.metadata
  pod.metadata.ownerReferences = [{ kind: owner.kind, name, uid, controller: true }]
}

export function claimsOf(pod: Live): readonly string[] {
  return itemsOf(pod.spec['volumes']).flatMap((volume) => {
    const name = fieldsOf(fieldsOf(volume)['persistentVolumeClaim'])['claimName']
    return typeof name === 'string' ? [name] : []
  })
}

export function templateHash(workload: Live): string {
  return shortHash(canonicalJson(workload.spec['template']), 10)
}

export function revisionOf(workload: Live): string {
  const metadata = fieldsOf(fieldsOf(workload.spec['template'])['metadata'])
  return String(fieldsOf(metadata['labels'])['fairlead.dev/revision'])
}

export function revisionLabel(pod: Live): string {
  return pod.metadata.labels['fairlead.dev/revision'] ?? ''
}

export function isRunning({ status }: Live): boolean {
  return status['phase'] === 'Running'
}

export function isReady({ status }: Live): boolean {
  return itemsOf(status['conditions']).some((condition) => fieldsOf(condition)['status'] === 'True')
}

export function setReady(pod: Live, ready: boolean): void {
  const crashed = { waiting: { reason: 'CrashLoopBackOff' } }
  pod.status = {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    containerStatuses: [
      { name: 'app', ready, state: ready ? { running: {} } : crashed, restartCount: ready ? 0 : 1 },
    ],
  }
}

export function evict(pod: Live): void {
  pod.status = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' }
}
