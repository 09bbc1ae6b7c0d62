/** The tags of a repository (rules L1–L5). Bounded, in no order that a registry chooses, without what can't be a tag. */
import { ExpectedError, printable } from '../errors.ts'
import { array, member, object } from '../image/fields.ts'
import type { Place } from '../image/fields.ts'
import { parseStrictJson } from '../image/json.ts'
import { isTag } from '../image/reference.ts'
import type { ImageOrigin, RegistryReference } from '../image/types.ts'
import { RegistryClient } from './client.ts'
import { endpointsFor } from './mirrors.ts'
import { pagesOf, requirePage } from './pages.ts'
import { firstOf } from './places.ts'
import type { RegistrySourceOptions } from './registry-source.ts'
import { withinTime } from './time-limit.ts'
import { collect } from './verified-stream.ts'

const MAX_TAGS = 100_000
const MAX_LIST_BYTES = 32 * 1024 * 1024
/** ECR refuses more; others ignore the wish and send all (rules L2, L5). */
const PAGE_SIZE = 1000
/** Signatures and the like, which live under tags made of a digest; Artifactory lists digests themselves. */
const DIGEST_LIKE = /^sha(?:256|512)[:_-]+[0-9a-f]{32,}/
/** A list takes many requests: its time is that of so many single questions. */
const PATIENCE = 4

export interface TagList {
  /** Sorted by their bytes, each once. */
  readonly tags: readonly string[]
  /** Entries that are no tags, or are made of a digest. */
  readonly skipped: number
  /** There are more than could be read. */
  readonly truncated: boolean
  readonly source: ImageOrigin
}

export interface TagListOptions {
  /** Requests at most; all pages by default. */
  readonly maxPages?: number
}

/** Asks the mirrors that may say what a tag is, then the registry. Throws ImageNotFound for an unknown repository. */
export function listTags(
  { registry, repository }: RegistryReference,
  options: RegistrySourceOptions,
  { maxPages = Number.POSITIVE_INFINITY }: TagListOptions,
  signal: AbortSignal,
): Promise<TagList> {
  const clients = endpointsFor(registry, repository, 'resolve', options.registries).map(
    (endpoint) => new RegistryClient(endpoint, options),
  )
  const { onStep, session } = options
  return withinTime(session.timeouts.overallMs * PATIENCE, registry, signal, (limit) =>
    firstOf(clients, { purpose: 'resolve', what: `the tags of ${repository}`, onStep }, (client) =>
      readTags(client, maxPages, limit),
    ),
  )
}

async function readTags(client: RegistryClient, maxPages: number, signal: AbortSignal): Promise<TagList> {
  const { host, isMirror } = client.endpoint
  const what = `the list of tags of ${printable(host)}`
  const found = { tags: new Set<string>(), skipped: 0 }
  let [bytes, pages] = [0, 0]
  const path = `tags/list?n=${PAGE_SIZE}`
  for await (const answer of pagesOf(client, path, { accept: 'application/json' }, signal)) {
    await requirePage(answer)
    const page = await collect(answer.body, MAX_LIST_BYTES - bytes, what)
    bytes += page.length
    pages += 1
    addTags(page, what, found)
    if (found.tags.size > MAX_TAGS || pages >= maxPages) break
  }
  const tags = [...found.tags].slice(0, MAX_TAGS).sort()
  const truncated = found.tags.size > MAX_TAGS || pages >= maxPages
  return { tags, skipped: found.skipped, truncated, source: { kind: 'registry', host, mirror: isMirror } }
}

/** `{"name", "tags": [...]}`, with null for no tags and null among them (Nexus; rule L3). */
function addTags(page: Buffer, what: string, found: { tags: Set<string>; skipped: number }): void {
  const place: Place = { reason: 'RegistryInvalid', what, path: '' }
  const value = parseStrictJson(page, { reason: 'RegistryInvalid', what, maxBytes: MAX_LIST_BYTES })
  const tags = member(object(value, place, ['tags']), 'tags')
  if (tags === undefined)
    throw new ExpectedError('RegistryInvalid', `${what} has no tags`, { retry: 'backoff' })
  for (const tag of tags === null ? [] : array(tags, { ...place, path: 'tags' })) {
    if (typeof tag === 'string' && isTag(tag) && !DIGEST_LIKE.test(tag)) found.tags.add(tag)
    else found.skipped += 1
    if (found.tags.size > MAX_TAGS) return
  }
}
