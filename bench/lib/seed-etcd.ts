/**
 * Copies converged apps by the thousand, straight in etcd: what a restart finds is the same, and takes seconds to make
 * where the API server takes minutes. Names and uids are as long as before, so that the lengths inside of protobuf hold.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { appName } from './bench-cluster.ts'

interface Entry {
  readonly key: string
  readonly value: Buffer
}

const PREFIXES = [
  '/registry/fairlead.dev/containerapps/',
  '/registry/deployments/',
  '/registry/services/specs/',
]
const AT_ONCE = 100

/** Apps `templates` up to, but without, `to`, each a copy of the one whose number has the same remainder. */
export async function seedApps(plane: ControlPlane, templates: number, to: number): Promise<void> {
  const etcd = await etcdOf(plane)
  const entries = (await Promise.all(PREFIXES.map((prefix) => everythingBelow(etcd, prefix)))).flat()
  let batch: Entry[] = []
  for (let n = templates; n < to; n += 1) {
    batch.push(...copiesOf(entries, n % templates, n))
    if (batch.length < AT_ONCE && n < to - 1) continue
    await putAll(etcd, batch)
    batch = []
  }
}

function copiesOf(entries: readonly Entry[], template: number, n: number): readonly Entry[] {
  const own = entries.filter(({ key }) => key.endsWith(`/${appName(template)}`))
  const uids = new Set(own.flatMap(({ value }) => value.toString('latin1').match(UID) ?? []))
  const rename = (text: string) => text.replaceAll(appName(template), appName(n))
  return own.map(({ key, value }) => {
    let text = rename(value.toString('latin1'))
    for (const uid of uids) text = text.replaceAll(uid, uid.slice(0, -5) + String(n).padStart(5, '0'))
    return { key: rename(key), value: Buffer.from(text, 'latin1') }
  })
}

const UID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** etcd's own gateway for those who speak JSON. */
async function ask<T>(etcd: string, method: string, body: unknown): Promise<T> {
  const answer = await fetch(`${etcd}/v3/kv/${method}`, { method: 'POST', body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`etcd: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}

async function etcdOf(plane: ControlPlane): Promise<string> {
  const text = await readFile(path.join(plane.root, 'control-plane.json'), 'utf8')
  return /--etcd-servers=([^"]+)/.exec(text)?.[1] ?? ''
}

async function everythingBelow(etcd: string, prefix: string): Promise<readonly Entry[]> {
  // The end of a range is the prefix with its last byte one higher.
  const end = prefix.slice(0, -1) + String.fromCodePoint((prefix.codePointAt(prefix.length - 1) ?? 0) + 1)
  const { kvs = [] } = await ask<{
    readonly kvs?: readonly { readonly key: string; readonly value: string }[]
  }>(etcd, 'range', { key: base64(prefix), range_end: base64(end) })
  return kvs.map(({ key, value }) => ({
    key: Buffer.from(key, 'base64').toString('latin1'),
    value: Buffer.from(value, 'base64'),
  }))
}

async function putAll(etcd: string, entries: readonly Entry[]): Promise<void> {
  const success = entries.map(({ key, value }) => ({
    request_put: { key: base64(key), value: value.toString('base64') },
  }))
  await ask(etcd, 'txn', { success })
}

function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}
