/** A Lease of coordination.k8s.io/v1 as leader election reads and writes it. Computes only. */
import { fieldsOf } from '../../crd/view.ts'
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'
import { apiVersionOf, LEASES } from './resources.ts'

/** What a Lease says. Its times are other machines' clocks: they are told apart, never reckoned with. */
export interface LeaseRecord {
  /** '' when nobody holds it. */
  readonly holder: string
  /** 0 when the Lease does not say. */
  readonly durationMs: number
  readonly transitions: number
  /** MicroTime as written, '' when absent. */
  readonly acquireTime: string
  readonly renewTime: string
}

export interface Tenure {
  readonly holder: string
  readonly durationMs: number
  readonly nowMs: number
}

export function readLease(lease: KubeObject): LeaseRecord {
  const spec = fieldsOf(lease['spec'])
  return {
    holder: textOf(spec['holderIdentity']),
    durationMs: numberOf(spec['leaseDurationSeconds']) * 1000,
    transitions: numberOf(spec['leaseTransitions']),
    acquireTime: textOf(spec['acquireTime']),
    renewTime: textOf(spec['renewTime']),
  }
}

/** Equal for two readings between which nobody renewed; labels and annotations say nothing about that. */
export function renewalOf(lease: KubeObject): string {
  const { holder, transitions, renewTime } = readLease(lease)
  return JSON.stringify([lease.metadata.uid, holder, transitions, renewTime])
}

export function newLease(namespace: string, name: string, tenure: Tenure): KubeObject {
  return heldBy(
    { apiVersion: apiVersionOf(LEASES), kind: LEASES.kind, metadata: { name, namespace } },
    tenure,
  )
}

/** `lease` held by `tenure.holder`, whether that is a renewal or a change of hands. All else stays. */
export function heldBy(lease: KubeObject, tenure: Tenure): KubeObject {
  const before = readLease(lease)
  const renews = before.holder === tenure.holder
  const isFirst = lease.metadata.resourceVersion === undefined
  const renewTime = differentFrom(before.renewTime, tenure.nowMs)
  return {
    ...lease,
    spec: {
      ...fieldsOf(lease['spec']),
      holderIdentity: tenure.holder,
      leaseDurationSeconds: Math.max(Math.ceil(tenure.durationMs / 1000), 1),
      acquireTime: renews && before.acquireTime !== '' ? before.acquireTime : renewTime,
      renewTime,
      leaseTransitions: before.transitions + (renews || isFirst ? 0 : 1),
    },
  }
}

/** `lease` given back: whoever waits for it may take it at once. */
export function released(lease: KubeObject, nowMs: number): KubeObject {
  const renewTime = microTime(nowMs)
  return {
    ...lease,
    spec: {
      ...fieldsOf(lease['spec']),
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: renewTime,
      renewTime,
    },
  }
}

/** RFC 3339 with microseconds, as the API server wants it. */
export function microTime(nowMs: number, micros = 0): string {
  return new Date(nowMs).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)
}

/** A renewal that writes the same time again would change nothing, and nobody could see it. */
function differentFrom(before: string, nowMs: number): string {
  const time = microTime(nowMs)
  return time === before ? microTime(nowMs, 1) : time
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0
}
