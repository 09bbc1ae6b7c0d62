/**
 * client-node's informers over collections, in a process of their own: `node client-node-watcher.mjs KUBECONFIG COUNT
 * PATH[?labelSelector=…]…`. Says `synced` to its parent once they hold COUNT objects together. Imports nothing of this
 * project, so that what is measured is theirs.
 */
import {
  KubeConfig,
  makeInformer,
  type KubernetesListObject,
  type KubernetesObject,
} from '@kubernetes/client-node'
import { request } from 'node:https'

const [, , kubeconfig = '', count = '0', ...collections] = process.argv

const config = new KubeConfig()
config.loadFromFile(kubeconfig)
const informers = collections.map((collection) => {
  const [path = '', query] = collection.split('?labelSelector=')
  const selector = query === undefined ? undefined : decodeURIComponent(query)
  return makeInformer(config, path, () => list(collection), selector)
})

type List = KubernetesListObject<KubernetesObject>

async function list(path: string): Promise<List> {
  const options: Parameters<typeof request>[1] = {}
  await config.applyToHTTPSOptions(options)
  return new Promise((resolve, reject) => {
    const call = request(new URL(path, config.getCurrentCluster()?.server), options, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part)).on('error', reject)
      answer.on('end', () => resolve(JSON.parse(Buffer.concat(parts).toString('utf8')) as List))
    })
    call.on('error', reject).end()
  })
}

// Not waited for: under load a start came to no end although its objects were all there.
for (const informer of informers) void informer.start()
const wait = setInterval(() => {
  if (informers.reduce((sum, informer) => sum + informer.list().length, 0) < Number(count)) return
  clearInterval(wait)
  process.send?.('synced')
}, 100)
process.on('disconnect', () => process.exit(0))
