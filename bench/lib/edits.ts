/** A user's edits while a controller that was just started looks at everything. */
import { setTimeout as delay } from 'node:timers/promises'
import { CONTAINER_APPS } from '../../src/engine/kubernetes/resources.ts'
import type { AuditTail, Write } from './audit-tail.ts'
import { USER, appName, namespaceOf, type BenchCluster } from './bench-cluster.ts'
import { BenchController } from './bench-controller.ts'
import { median } from './compare.ts'

export interface EditTimes {
  readonly count: number
  readonly medianMs: number
  readonly slowestMs: number
}

const EVERY_MS = 100
const SETTLE_MS = 3000

/** Edits fall from the moment of leading until everything was looked at, and a little longer. */
export async function editsDuringResync(
  cluster: BenchCluster,
  audit: AuditTail,
  main: string,
): Promise<EditTimes> {
  audit.next()
  await using controller = await BenchController.start(cluster.plane, { main, account: 'fairlead' })
  await controller.ready()
  await controller.until('leading', () => controller.leads(), 10)
  const edited = new Map<string, number>()
  for (let n = 0; n < 20; n += 1) {
    edited.set(await edit(cluster, n), Date.now())
    await delay(EVERY_MS)
  }
  await delay(SETTLE_MS)
  return timesOf(edited, audit.next(), controller.user)
}

/** `NAMESPACE/NAME` of the app that another wish was written into. */
async function edit({ client }: BenchCluster, n: number): Promise<string> {
  const [namespace, name] = [namespaceOf(n), appName(n)]
  const patch = { spec: { replicas: 2 } }
  await client.mergePatch(CONTAINER_APPS, namespace, name, patch, { fieldManager: USER })
  return `${namespace}/${name}`
}

/** By the API server's clock: from its answer to the user until the controller's first write for the app came in. */
function timesOf(edited: ReadonlyMap<string, number>, writes: readonly Write[], user: string): EditTimes {
  const times = [...edited].map(([app, atMs]) => {
    const answer = writes.find(
      (write) => write.user === user && write.object === app && write.atMs >= atMs - EVERY_MS,
    )
    return (answer?.atMs ?? Infinity) - atMs
  })
  return { count: times.length, medianMs: median(times), slowestMs: Math.max(...times) }
}
