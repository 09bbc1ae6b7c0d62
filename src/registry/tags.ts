/** The tags of a repository (rules L1–L5). Bounded, in no order that a registry chooses, without what can't be a tag. */
import { ExpectedError, printable } from '../errors.ts'
import { isTag } from '../image/reference.ts'
import type { ImageOrigin, RegistryReference } from '../image/types.ts'
import { RegistryClient } from './client.ts'
import { endpointsFor } from './mirrors.ts'
import { pagesOf, requirePage } from './pages.ts'
import { firstOf } from './places.ts'
import type { RegistrySourceOptions } from './registry-source.ts'
import { TagPage } from './tag-page.ts'
import { withinTime } from './time-limit.ts'

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

interface Found {
  readonly tags: Set<string>
  skipped: number
}

async function readTags(client: RegistryClient, maxPages: number, signal: AbortSignal): Promise<TagList> {
  const { host, isMirror } = client.endpoint
  const what = `the list of tags of ${printable(host)}`
  const found: Found = { tags: new Set<string>(), skipped: 0 }
  let [bytes, pages] = [0, 0]
  const path = `tags/list?n=${PAGE_SIZE}`
  for await (const answer of pagesOf(client, path, { accept: 'application/json' }, signal)) {
    await requirePage(answer)
    bytes = await readPage(answer.body, bytes, what, found)
    pages += 1
    if (found.tags.size > MAX_TAGS || pages >= maxPages) break
  }
  const tags = [...found.tags].slice(0, MAX_TAGS).sort()
  const truncated = found.tags.size > MAX_TAGS || pages >= maxPages
  return { tags, skipped: found.skipped, truncated, source: { kind: 'registry', host, mirror: isMirror } }
}

/** Adds what one page has; returns how many bytes were read with it. Ends early when there are too many tags. */
async function readPage(
  body: AsyncIterable<Uint8Array>,
  before: number,
  what: string,
  found: Found,
): Promise<number> {
  let bytes = before
  const page = new TagPage(what, (element) => addTag(element, found))
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_LIST_BYTES)
      throw new ExpectedError('LimitExceeded', `${what} has more than ${MAX_LIST_BYTES} bytes`)
    page.write(chunk)
    if (found.tags.size > MAX_TAGS) return bytes
  }
  page.end()
  return bytes
}

/** Among them may be null (Nexus), and what no tag can be called (rule L3). */
function addTag(element: unknown, found: Found): void {
  if (found.tags.size > MAX_TAGS) return
  if (typeof element === 'string' && isTag(element) && !DIGEST_LIKE.test(element)) found.tags.add(element)
  else found.skipped += 1
}
