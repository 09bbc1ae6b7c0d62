/** What refers to an image: signatures, attestations, bills of materials (distribution spec, listing referrers; rules F1–F4). */
import { ExpectedError, printable } from '../errors.ts'
import { algorithmOf, hexOf } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES } from '../image/json.ts'
import { parseManifestOrIndex } from '../image/manifest.ts'
import { bareMediaType, OCI_INDEX } from '../image/media-types.ts'
import type { Descriptor, Digest, ImageOrigin, RegistryReference } from '../image/types.ts'
import { RegistryClient } from './client.ts'
import { describeFailure, failureOf } from './failure.ts'
import { endpointsFor } from './mirrors.ts'
import { pagesOf, requirePage } from './pages.ts'
import { firstOf } from './places.ts'
import type { RegistrySourceOptions } from './registry-source.ts'
import type { HttpAnswer } from './transport.ts'
import { withinTime } from './time-limit.ts'
import { collect } from './verified-stream.ts'

const MAX_REFERRERS = 10_000
const MAX_LIST_BYTES = 32 * 1024 * 1024
/** What registries without the API answer. */
const NO_API: readonly number[] = [400, 404, 405, 406, 501]
const ACCEPT = { accept: OCI_INDEX }
const PATIENCE = 4

export interface ReferrerList {
  /** In the registry's order; nothing of them was read, so nothing of them is proven. */
  readonly referrers: readonly Descriptor[]
  readonly truncated: boolean
  /** Whether the registry has the referrers API, or only the tag that stands in for it. */
  readonly way: 'api' | 'tag'
  readonly source: ImageOrigin
}

export interface ReferrerOptions {
  /** Only those of this type. */
  readonly artifactType?: string
}

/** Asks the mirrors, then the registry. A registry that knows of none gives an empty list. */
export function listReferrers(
  { registry, repository }: RegistryReference,
  subject: Digest,
  options: RegistrySourceOptions,
  { artifactType }: ReferrerOptions,
  signal: AbortSignal,
): Promise<ReferrerList> {
  // Which referrers there are is not proven by the subject's digest: only who may say what a tag is, may say that, too.
  const clients = endpointsFor(registry, repository, 'resolve', options.registries).map(
    (endpoint) => new RegistryClient(endpoint, options),
  )
  const { onStep, session } = options
  return withinTime(session.timeouts.overallMs * PATIENCE, registry, signal, (limit) =>
    firstOf(clients, { purpose: 'resolve', what: `the referrers of ${subject}`, onStep }, async (client) => {
      const api = await fromApi(client, subject, artifactType, limit)
      const { host, isMirror } = client.endpoint
      const source: ImageOrigin = { kind: 'registry', host, mirror: isMirror }
      if (api !== undefined) return { ...api, way: 'api', source }
      const referrers = ofType(await fromTag(client, subject, limit), artifactType)
      return { referrers, truncated: false, way: 'tag', source }
    }),
  )
}

/** Undefined where the registry has no such API. */
async function fromApi(
  client: RegistryClient,
  subject: Digest,
  artifactType: string | undefined,
  signal: AbortSignal,
): Promise<Pick<ReferrerList, 'referrers' | 'truncated'> | undefined> {
  const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType }).toString()}`
  const referrers: Descriptor[] = []
  let [bytes, isFirst] = [0, true]
  for await (const answer of pagesOf(client, `referrers/${subject}${query}`, ACCEPT, signal)) {
    if (isFirst && NO_API.includes(answer.status)) {
      answer.discard()
      return undefined
    }
    await requirePage(answer)
    const page = await readIndex(answer, client, MAX_LIST_BYTES - bytes)
    // A page of something else in the API's place (a portal, an old registry's catch-all).
    if (page === undefined && isFirst) return undefined
    if (page === undefined)
      throw invalid(client, `a page of the referrers of ${subject} that is no image index`)
    bytes += page.bytes
    isFirst = false
    referrers.push(...ofType(page.manifests, artifactType))
    if (referrers.length > MAX_REFERRERS) break
  }
  return { referrers: referrers.slice(0, MAX_REFERRERS), truncated: referrers.length > MAX_REFERRERS }
}

/** The index under `sha256-HEX`: none, or something that is no index, means no referrers (rules F2, F3). */
async function fromTag(
  client: RegistryClient,
  subject: Digest,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const tag = `${algorithmOf(subject).slice(0, 32)}-${hexOf(subject).slice(0, 64)}`
  const answer = await client.request({ method: 'GET', path: `manifests/${tag}`, headers: ACCEPT }, signal)
  if (NO_API.includes(answer.status)) {
    answer.discard()
    return []
  }
  if (answer.status !== 200) throw failureOf(answer.status, await describeFailure(answer, 'GET'))
  return (await readIndex(answer, client, MAX_DOCUMENT_BYTES))?.manifests.slice(0, MAX_REFERRERS) ?? []
}

/** Undefined for what is no image index. Throws LimitExceeded. */
async function readIndex(
  answer: HttpAnswer,
  client: RegistryClient,
  maxBytes: number,
): Promise<{ readonly manifests: readonly Descriptor[]; readonly bytes: number } | undefined> {
  const what = `the referrers of ${printable(client.endpoint.host)}`
  const bytes = await collect(answer.body, Math.min(maxBytes, MAX_DOCUMENT_BYTES), what)
  try {
    const document = parseManifestOrIndex(bytes, bareMediaType(answer.headers['content-type']), what)
    if (document.kind !== 'index' || document.index.mediaType !== OCI_INDEX) return undefined
    return { manifests: document.index.manifests, bytes: bytes.length }
  } catch (error) {
    if (error instanceof ExpectedError && error.reason !== 'LimitExceeded') return undefined
    throw error
  }
}

/** Also where the registry says that it did so (`OCI-Filters-Applied`): it costs nothing, and not all do what they say. */
function ofType(referrers: readonly Descriptor[], artifactType: string | undefined): readonly Descriptor[] {
  return artifactType === undefined
    ? referrers
    : referrers.filter((referrer) => referrer.artifactType === artifactType)
}

function invalid({ endpoint }: RegistryClient, problem: string): ExpectedError {
  return new ExpectedError('RegistryInvalid', `${printable(endpoint.host)} has ${problem}`, {
    retry: 'backoff',
  })
}
