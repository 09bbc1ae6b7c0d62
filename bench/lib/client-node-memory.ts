/** What client-node's own informers take for the same objects, in a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import {
  KubeConfig,
  makeInformer,
  type KubernetesListObject,
  type KubernetesObject,
} from '@kubernetes/client-node'
import { APP_LABEL } from '../../src/crd/labels.ts'
import { collectionPath } from '../../src/engine/kubernetes/api/paths.ts'
import { CHILD_TYPES, CONTAINER_APPS } from '../../src/engine/kubernetes/resources.ts'
import type { ResourceType } from '../../src/engine/kubernetes/api/types.ts'
import { ApiClient } from '../../test/cluster/bed/api-client.ts'
import { ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { memoryOver, type MemoryUse } from './memory-use.ts'

export async function clientNodeMemory(plane: ControlPlane, seconds: number): Promise<MemoryUse> {
  const child = fork(import.meta.filename, [plane.root], { execArgv: ['--max-semi-space-size=8'] })
  await once(child, 'message')
  const memory = await memoryOver(child.pid ?? 0, seconds)
  child.kill()
  return memory
}

async function watchAll(root: string): Promise<void> {
  const plane = await ControlPlane.attach(root)
  const config = new KubeConfig()
  config.loadFromFile(plane.adminKubeconfig)
  const api = new ApiClient(plane.adminAccess)
  await Promise.all(
    [CONTAINER_APPS, ...Object.values(CHILD_TYPES)].map((type) => watchOne(config, api, type)),
  )
  process.send?.('synced')
  process.on('disconnect', () => process.exit(0))
}

async function watchOne(config: KubeConfig, api: ApiClient, type: ResourceType): Promise<void> {
  const path = collectionPath(type, undefined)
  const selector = type === CONTAINER_APPS ? undefined : APP_LABEL
  const query = selector === undefined ? '' : `?labelSelector=${encodeURIComponent(selector)}`
  const list = () => api.json<KubernetesListObject<KubernetesObject>>('GET', `${path}${query}`)
  await makeInformer(config, path, list, selector).start()
}

if (process.argv[1] === import.meta.filename) await watchAll(process.argv[2] ?? '')
