/**
 * Plays the part of Kubernetes' own controllers in a process of its own: every Deployment becomes available at once.
 * Started with the place of a control plane; says `synced` to its parent.
 */
import { CHILD_TYPES } from '../../src/engine/kubernetes/resources.ts'
import { openKubeClient } from '../../src/engine/kubernetes/api/client.ts'
import { createInformer } from '../../src/engine/kubernetes/api/informer.ts'
import type { InformerItem } from '../../src/engine/kubernetes/api/types.ts'
import { APP_LABEL } from '../../src/crd/labels.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { adminConnection } from './bench-cluster.ts'

interface Workload extends InformerItem {
  readonly generation: number
  readonly wanted: number
  readonly isDone: boolean
}

const WIDTH = 8
const plane = await ControlPlane.attach(process.argv[2] ?? '')
const client = openKubeClient(adminConnection(plane))
const waiting: Workload[] = []
let working = 0

const informer = createInformer<Workload>(
  client,
  {
    type: CHILD_TYPES.Deployment,
    labelSelector: APP_LABEL,
    project,
    onChange: ({ kind, item }) => {
      if (kind === 'deleted' || item.isDone) return
      waiting.push(item)
      void work()
    },
  },
  { now: Date.now, random: Math.random, onError: () => undefined },
)

function project({ metadata, ...object }: KubeObject): Workload {
  const wanted = (object['spec'] as { readonly replicas?: number }).replicas ?? 1
  const status = (object['status'] ?? {}) as Readonly<Record<string, unknown>>
  const generation = metadata.generation ?? 0
  return {
    key: `${metadata.namespace ?? ''}/${metadata.name}`,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    generation,
    wanted,
    isDone: status['observedGeneration'] === generation && (status['availableReplicas'] ?? 0) === wanted,
  }
}

async function work(): Promise<void> {
  if (working >= WIDTH) return
  working += 1
  for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await makeAvailable(item)
  working -= 1
}

async function makeAvailable({ key, generation, wanted }: Workload): Promise<void> {
  const [namespace, name = ''] = key.split('/')
  const counts = {
    replicas: wanted,
    readyReplicas: wanted,
    updatedReplicas: wanted,
    availableReplicas: wanted,
  }
  const status = { observedGeneration: generation, ...counts }
  await client
    .mergePatch(
      CHILD_TYPES.Deployment,
      namespace,
      name,
      { status },
      { fieldManager: 'stub', subresource: 'status' },
    )
    // The next change of the Deployment tries again.
    .catch((error: unknown) => process.stderr.write(`stub: ${String(error)}\n`))
}

informer.start()
await informer.synced()
process.send?.('synced')
process.on('disconnect', () => process.exit(0))
