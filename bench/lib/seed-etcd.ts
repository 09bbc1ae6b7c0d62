/**
 * Copies converged apps by the thousand, straight in etcd: what a restart finds is the same, and takes seconds to make
 * where the API server takes minutes. Names, uids and addresses are as long as before, so that the lengths inside of
 * protobuf hold.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { SERVICE_ADDRESSES, appName } from './bench-cluster.ts'
import { inParallel } from './in-parallel.ts'

interface Entry {
  readonly key: string
  readonly value: Buffer
}

const PREFIXES = [
  '/registry/fairlead.dev/containerapps/',
  '/registry/deployments/',
  '/registry/services/specs/',
]
/** Of each address one object: without it the API server repairs, with an Event for each Service, for minutes. */
const ADDRESSES = '/registry/ipaddresses/'
const WIDTH = 8

/** Apps `templates` up to, but without, `to`, each a copy of the one whose number has the same remainder. */
export async function seedApps(plane: ControlPlane, templates: number, to: number): Promise<void> {
  const etcd = await etcdOf(plane)
  const prefixes = [...PREFIXES, ADDRESSES]
  const entries = (await Promise.all(prefixes.map((prefix) => everythingBelow(etcd, prefix)))).flat()
  const sets = Array.from({ length: templates }, (_one, template) => templateOf(entries, template))
  const free = new FreeAddresses(entries)
  const numbers = Array.from({ length: Math.max(to - templates, 0) }, (_one, at) => templates + at)
  // Each app by itself: objects of a kind never share a revision, or who lists between two of them misses one for ever.
  await inParallel(numbers, WIDTH, async (n) => {
    const template = sets[n % templates]
    if (template !== undefined) await putAll(etcd, copiesOf(template, n, free))
  })
}

interface Template {
  readonly name: string
  readonly address: string
  readonly uids: readonly string[]
  readonly entries: readonly Entry[]
}

/** An app with what was made for it; the object of its address has another name, but names the Service. */
function templateOf(entries: readonly Entry[], template: number): Template {
  const name = appName(template)
  const own = entries.filter(
    ({ key, value }) => key.endsWith(`/${name}`) || (key.startsWith(ADDRESSES) && value.includes(name)),
  )
  const address = own.find(({ key }) => key.startsWith(ADDRESSES))?.key.slice(ADDRESSES.length)
  if (address === undefined) throw new Error(`${name} has no Service with an address`)
  const uids = new Set(own.flatMap(({ value }) => value.toString('latin1').match(UID) ?? []))
  return { name, address, uids: [...uids], entries: own }
}

function copiesOf(
  { name, address, uids, entries }: Template,
  n: number,
  free: FreeAddresses,
): readonly Entry[] {
  const own = free.like(address)
  const rename = (text: string) => text.replaceAll(name, appName(n)).replaceAll(address, own)
  return entries.map(({ key, value }) => {
    let text = rename(value.toString('latin1'))
    for (const uid of uids) text = text.replaceAll(uid, uid.slice(0, -5) + String(n).padStart(5, '0'))
    return { key: rename(key), value: Buffer.from(text, 'latin1') }
  })
}

/** Addresses of Services that nobody has. */
class FreeAddresses {
  readonly #taken: ReadonlySet<string>
  /** By how long they are written. */
  readonly #left = new Map<number, Iterator<string, undefined>>()

  constructor(entries: readonly Entry[]) {
    this.#taken = new Set(entries.map(({ key }) => key.slice(ADDRESSES.length)))
  }

  like({ length }: string): string {
    const left = this.#left.get(length) ?? this.#addresses(length)
    this.#left.set(length, left)
    const found = left.next().value
    if (found === undefined) throw new Error(`no address of ${length} characters is free`)
    return found
  }

  *#addresses(length: number): Generator<string, undefined, undefined> {
    const [prefix, first, last] = SERVICE_ADDRESSES.octets
    for (let second = first; second <= last; second += 1) {
      // The range's first and last members are nobody's.
      for (let low = 1; low < 65_535; low += 1) {
        const address = `${prefix}.${second}.${low >> 8}.${low & 255}`
        if (address.length === length && !this.#taken.has(address)) yield address
      }
    }
    return undefined
  }
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
