/**
 * What an informer costs in memory: 10,000 projected objects, against a fake server in a process of its own. Prints a
 * markdown table.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { KubeObject } from '../src/reconcile/kubernetes/types.ts'

const OBJECTS = 10_000
const ROLE = process.argv[2]

async function main(): Promise<void> {
  const server = fork(import.meta.filename, ['serve'])
  const [url] = (await once(server, 'message')) as [string]
  const rows = [await measured(url, 'none'), await measured(url, 'ours'), await measured(url, 'whole')]
  server.kill()
  process.stdout.write(
    [
      '| Process | RSS, MB | heap a cached object, KiB |',
      '| --- | --- | --- |',
      ...rows.map(({ name, rss, perObject }) => `| ${name} | ${rss} | ${perObject} |`),
      '',
    ].join('\n'),
  )
}

interface Row {
  readonly name: string
  readonly rss: string
  readonly perObject: string
}

async function measured(url: string, role: string): Promise<Row> {
  const child: ChildProcess = fork(import.meta.filename, [role, url], { execArgv: ['--expose-gc'] })
  const [row] = (await once(child, 'message')) as [Row]
  return row
}

/** Imported here only: the other roles are measured. */
async function serve(): Promise<void> {
  const { startFakeApiServer } = await import('../test/support/fake-api-server.ts')
  const server = await startFakeApiServer()
  for (let n = 0; n < OBJECTS; n += 1) server.store.put('api/v1/configmaps', 'x', app(n))
  process.send?.(server.url)
}

/** About 2.9 KB of JSON, a third of it the server's bookkeeping. */
function app(n: number): KubeObject {
  const name = `app-${n}`
  const env = Array.from({ length: 24 }, (_one, at) => ({
    name: `VARIABLE_${at}`,
    value: `value ${at} of ${n}`,
  }))
  const managedFields = [{ manager: 'kubectl', operation: 'Apply', fieldsV1: { f: 'x'.repeat(900) } }]
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'x', labels: { app: name }, managedFields },
    spec: { image: `example/${name}:1`, env },
  }
}

async function watch(url: string, isWhole: boolean): Promise<void> {
  const { openKubeClient } = await import('../src/engine/kubernetes/api/client.ts')
  const { createInformer } = await import('../src/engine/kubernetes/api/informer.ts')
  const client = openKubeClient({
    url: new URL(url),
    ca: undefined,
    namespace: 'x',
    headers: () => Promise.resolve({}),
    refresh: () => undefined,
  })
  const before = heapBytes()
  const informer = createInformer(
    client,
    {
      type: { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true },
      project: (object) => ({
        key: `${object.metadata.namespace ?? ''}/${object.metadata.name}`,
        uid: object.metadata.uid ?? '',
        resourceVersion: object.metadata.resourceVersion ?? '',
        ...(isWhole ? { object } : {}),
      }),
      onChange: () => undefined,
    },
    { now: Date.now, random: Math.random, onError: (error) => process.stderr.write(`${String(error)}\n`) },
  )
  informer.start()
  await informer.synced()
  const perObject = (heapBytes() - before) / informer.size / 1024
  report(
    `${informer.size} objects, ${isWhole ? 'kept whole' : 'key, uid and version kept'}`,
    perObject.toFixed(2),
  )
  await informer.stop()
  client.close()
}

function heapBytes(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function report(name: string, perObject: string): void {
  const rss = (process.memoryUsage().rss / 2 ** 20).toFixed(0)
  process.send?.({ name, rss, perObject } satisfies Row)
  process.disconnect()
}

if (ROLE === undefined) await main()
else if (ROLE === 'serve') await serve()
else if (ROLE === 'none') report('nothing but the runtime', '')
else await watch(process.argv[3] ?? '', ROLE === 'whole')
