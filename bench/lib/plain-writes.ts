/** The least that the same writes take: a loop that sends them, sixteen at a time, and thinks of nothing. */
import { randomUUID } from 'node:crypto'
import { APP_LABEL, FIELD_MANAGER, STATUS_FIELD_MANAGER } from '../../src/crd/labels.ts'
import { CHILD_TYPES, CONTAINER_APPS, EVENTS, apiVersionOf } from '../../src/engine/kubernetes/resources.ts'
import { openKubeClient, type ClusterClient } from '../../src/engine/kubernetes/api/client.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { countedWrites, type Write } from './audit-tail.ts'
import {
  USER,
  adminConnection,
  appName,
  appOf,
  makeNamespace,
  namespaceOf,
  type BenchCluster,
} from './bench-cluster.ts'
import { inParallel } from './in-parallel.ts'

const WIDTH = 16
const NAMESPACE = 'plain'

interface Samples {
  readonly deployment: KubeObject
  readonly service: KubeObject
  readonly status: unknown
}

/** Writes a second. As many statuses and Events for each app as `writes` of `apps` had. */
export async function plainRate(
  cluster: BenchCluster,
  writes: readonly Write[],
  times: number,
  apps: number,
): Promise<number> {
  const counts = countedWrites(writes)
  const each = (what: string) => Math.round((counts.get(what) ?? 0) / apps)
  const statuses = each('containerapps/status patch')
  const events = each('events create')
  const samples = await samplesOf(cluster.client)
  const client = openKubeClient(adminConnection(cluster.plane))
  await makeNamespace(cluster.plane, NAMESPACE)
  const numbers = Array.from({ length: times }, (_one, n) => n)
  await inParallel(numbers, WIDTH, async (n) => {
    const app = appOf(n, cluster.registry)
    const object = { ...app, metadata: { ...app.metadata, namespace: NAMESPACE } }
    await client.create(CONTAINER_APPS, object, { fieldManager: USER })
  })
  const begun = performance.now()
  await inParallel(numbers, WIDTH, (n) => writeLikeUs(client, samples, n, { statuses, events }))
  const seconds = (performance.now() - begun) / 1000
  client.close()
  return (times * (2 + statuses + events)) / seconds
}

async function writeLikeUs(
  client: ClusterClient,
  { deployment, service, status }: Samples,
  n: number,
  { statuses, events }: { readonly statuses: number; readonly events: number },
): Promise<void> {
  const name = appName(n)
  await client.create(CHILD_TYPES.Service, renamed(service, name), { fieldManager: FIELD_MANAGER })
  await client.create(CHILD_TYPES.Deployment, renamed(deployment, name), { fieldManager: FIELD_MANAGER })
  const app = { apiVersion: apiVersionOf(CONTAINER_APPS), kind: CONTAINER_APPS.kind }
  for (let at = 0; at < statuses; at += 1)
    await client.apply(
      CONTAINER_APPS,
      {
        ...app,
        metadata: { name, namespace: NAMESPACE },
        status: { ...Object(status), observedGeneration: at },
      },
      { fieldManager: STATUS_FIELD_MANAGER, force: true, subresource: 'status' },
    )
  for (let at = 0; at < events; at += 1)
    await client.create(EVENTS, eventOf(app, name), { fieldManager: FIELD_MANAGER })
}

/** What the controller made for the first app, as it sent it. */
async function samplesOf(client: ClusterClient): Promise<Samples> {
  const place = [namespaceOf(0), appName(0)] as const
  const [deployment, service, app] = await Promise.all(
    [CHILD_TYPES.Deployment, CHILD_TYPES.Service, CONTAINER_APPS].map((type) => client.get(type, ...place)),
  )
  if (deployment === undefined || service === undefined || app === undefined)
    throw new Error('the first app has no children')
  const { clusterIP: _ip, clusterIPs: _ips, ...spec } = service['spec'] as Readonly<Record<string, unknown>>
  return { deployment, service: { ...service, spec }, status: app['status'] }
}

function renamed({ apiVersion, kind, metadata, ...rest }: KubeObject, name: string): KubeObject {
  const labels = { ...metadata.labels, [APP_LABEL]: name }
  const { annotations } = metadata
  const own = { name, namespace: NAMESPACE, labels, ...(annotations === undefined ? {} : { annotations }) }
  return { apiVersion, kind, metadata: own, spec: rest['spec'] }
}

function eventOf(app: { readonly apiVersion: string; readonly kind: string }, name: string): KubeObject {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${name}.${randomUUID()}`, namespace: NAMESPACE },
    eventTime: new Date().toISOString().replace('Z', '000Z'),
    reportingController: 'fairlead.dev/controller',
    reportingInstance: 'bench',
    action: 'Reconciling',
    reason: 'Bench',
    type: 'Normal',
    note: 'as long a sentence as those that the controller says of what it did for an app',
    regarding: { ...app, name, namespace: NAMESPACE },
  }
}
