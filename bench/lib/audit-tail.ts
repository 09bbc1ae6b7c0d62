/** The writes of a control plane since the last time that somebody asked. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import path from 'node:path'
import type { AuditEvent } from '../../test/cluster/bed/audit.ts'
import type { ControlPlane } from '../../test/cluster/bed/control-plane.ts'

export interface Write {
  readonly user: string
  /** `deployments create`, `containerapps/status patch` */
  readonly what: string
  /** `NAMESPACE/NAME` */
  readonly object: string
  readonly code: number
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

const CHUNK = 1 << 24
/** Part of a request's URI: it leaves nothing behind. */
const DRY_RUN = 'dryRun=All'

export class AuditTail {
  readonly #file: string
  #offset = 0

  constructor(plane: ControlPlane) {
    this.#file = path.join(plane.root, 'audit.log')
  }

  /** Of all users; whole lines only. The log of ten thousand apps is read in pieces. */
  next(): readonly Write[] {
    if (!existsSync(this.#file)) return []
    const descriptor = openSync(this.#file, 'r')
    try {
      const writes: Write[] = []
      while (this.#offset < fstatSync(descriptor).size) {
        const bytes = Buffer.alloc(CHUNK)
        const length = readSync(descriptor, bytes, 0, CHUNK, this.#offset)
        const end = bytes.subarray(0, length).lastIndexOf(10) + 1
        if (end === 0) break
        this.#offset += end
        const lines = bytes.subarray(0, end).toString('utf8').split('\n')
        writes.push(...lines.filter((line) => line !== '' && !line.includes(DRY_RUN)).map(writeOf))
      }
      return writes
    } finally {
      closeSync(descriptor)
    }
  }
}

function writeOf(line: string): Write {
  const event = JSON.parse(line) as AuditEvent
  const { resource = '', subresource, namespace = '', name = '' } = event.objectRef ?? {}
  return {
    user: event.user.username,
    what: `${resource}${subresource === undefined ? '' : `/${subresource}`} ${event.verb}`,
    object: `${namespace}/${name}`,
    code: event.responseStatus?.code ?? 0,
    atMs: Date.parse(event.requestReceivedTimestamp),
  }
}

/** The account's writes without those of its Lease. */
export function writesOf(writes: readonly Write[], user: string): readonly Write[] {
  return writes.filter((write) => write.user === user && !write.what.startsWith('leases '))
}

/** How many of each sort, most first. */
export function countedWrites(writes: readonly Write[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { what } of writes) counts.set(what, (counts.get(what) ?? 0) + 1)
  return new Map([...counts].toSorted((a, b) => b[1] - a[1]))
}
