/**
 * Manifests of one endpoint: HEAD where it is enough, GET by digest where the bytes are needed, each verified. Equal
 * questions of equal logins are asked once (rules M1, M6–M10).
 */
import { ExpectedError, printable } from '../errors.ts'
import { algorithmOf, digestIn, digestOf, isDigest, verifyBytes } from '../image/digest.ts'
import { MAX_DOCUMENT_BYTES } from '../image/json.ts'
import { parseManifestOrIndex } from '../image/manifest.ts'
import { MANIFEST_TYPES } from '../image/media-types.ts'
import type { TagQuestion } from '../image/source.ts'
import type { Digest } from '../image/types.ts'
import type { RegistryClient } from './client.ts'
import { describeFailure, failureOf } from './failure.ts'
import type { RootDocument } from './resolve-image.ts'
import type { RegistrySession } from './session.ts'
import type { HttpAnswer } from './transport.ts'
import { collect } from './verified-stream.ts'

const ACCEPT = { accept: MANIFEST_TYPES.join(', ') }
/** What a digest names never changes; whether this login may still see it does. */
export const DOCUMENT_AGE_MS = 300_000

/** The digest that a tag points at now, by HEAD, or by GET where HEAD is of no use. */
export async function tagDigest(
  session: RegistrySession,
  client: RegistryClient,
  name: string,
  question: TagQuestion,
  signal: AbortSignal,
): Promise<Digest> {
  const digest = await headDigest(session, client, name, question, signal)
  if (digest !== undefined) return digest
  return (await readInsteadOfHead(session, client, name, question, signal)).digest
}

/** HEAD, then GET by the digest it names; a tag's GET where HEAD is of no use. */
export async function readTag(
  session: RegistrySession,
  client: RegistryClient,
  tag: string,
  question: TagQuestion,
  signal: AbortSignal,
): Promise<RootDocument> {
  const digest = await headDigest(session, client, tag, question, signal)
  const byDigest =
    digest === undefined
      ? undefined
      : await readManifest(session, client, digest, signal).catch(ignoreNotFound)
  return byDigest ?? readInsteadOfHead(session, client, tag, question, signal)
}

/** The manifest or index of a digest, read once for all who may see the same. */
export async function readManifest(
  session: RegistrySession,
  client: RegistryClient,
  digest: Digest,
  signal: AbortSignal,
): Promise<RootDocument> {
  const key = await flightKey(client, digest, signal)
  return session.documents.run(key, DOCUMENT_AGE_MS, signal, (stop) =>
    getManifest(client, digest, false, stop),
  )
}

/**
 * Whether a manifest is still there. By HEAD alone, which costs no pull; a 404 is asked again by GET, since some know
 * HEAD of tags only (rule M9).
 */
export async function hasManifest(
  session: RegistrySession,
  client: RegistryClient,
  digest: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  const { endpoint } = client
  const ask = async (method: 'HEAD' | 'GET'): Promise<number> => {
    const request = { method, path: `manifests/${digest}`, headers: ACCEPT, isBackground: true }
    const answer = await client.request(request, signal)
    answer.discard()
    return answer.status
  }
  const first = session.doesHead(endpoint) ? await ask('HEAD') : 405
  const status = first === 404 ? await ask('GET') : first
  if (status === 404) return false
  if (status !== 200)
    throw failureOf(status, `${printable(endpoint.host)} answered ${status} to HEAD of a digest`)
  // From now on it is not asked for digests at all: each question would cost a pull.
  if (first === 404) session.noteNoHead(endpoint)
  return true
}

/** What HEAD says; undefined when it says nothing of use, which is remembered (rules M8, M9). */
async function headDigest(
  session: RegistrySession,
  client: RegistryClient,
  name: string,
  { background = false, maxAgeMs = 0 }: TagQuestion,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  if (!session.doesHead(client.endpoint)) return undefined
  const request = {
    method: 'HEAD' as const,
    path: `manifests/${name}`,
    headers: ACCEPT,
    isBackground: background,
  }
  const key = await flightKey(client, `${name} ${background}`, signal)
  return session.tags.run(key, maxAgeMs, signal, async (stop) => {
    const answer = await client.request(request, stop)
    answer.discard()
    const digest = headerDigest(answer)
    if (answer.status === 200 && digest !== undefined && Number(answer.headers['content-length']) > 0)
      return digest
    // A refusal or a missing tag says nothing about HEAD as such; the GET that follows brings the text.
    if ([200, 405, 501].includes(answer.status)) session.noteNoHead(client.endpoint)
    return undefined
  })
}

/** The tag itself, which counts as a pull. */
async function readInsteadOfHead(
  session: RegistrySession,
  client: RegistryClient,
  name: string,
  { background = false }: TagQuestion,
  signal: AbortSignal,
): Promise<RootDocument> {
  const document = await getManifest(client, name, background, signal)
  // HEAD said that there is no such tag, and there is (Nexus).
  session.noteNoHead(client.endpoint)
  return document
}

async function getManifest(
  client: RegistryClient,
  name: string,
  isBackground: boolean,
  signal: AbortSignal,
): Promise<RootDocument> {
  const request = { method: 'GET' as const, path: `manifests/${name}`, headers: ACCEPT, isBackground }
  const answer = await client.request(request, signal)
  if (answer.status !== 200) throw failureOf(answer.status, await describeFailure(answer, 'GET'))
  const what = `manifest ${name} of ${printable(client.endpoint.host)}`
  const bytes = await collect(answer.body, MAX_DOCUMENT_BYTES, what)
  const digest = digestOfAnswer(answer, bytes, name, what)
  const mediaType = answer.headers['content-type']
  // Read here already, so that a mirror that answers with a login page is passed over.
  parseManifestOrIndex(bytes, mediaType, what)
  return { digest, mediaType, bytes }
}

/** Of the bytes, never of the header, which must not differ (rule M6). */
function digestOfAnswer(answer: HttpAnswer, bytes: Buffer, name: string, what: string): Digest {
  const said = headerDigest(answer)
  const digest = isDigest(name) ? name : digestOf(bytes, said === undefined ? 'sha256' : algorithmOf(said))
  if (isDigest(name)) verifyBytes(bytes, name, undefined, what)
  if (said === undefined || said === digest || algorithmOf(said) !== algorithmOf(digest)) return digest
  throw new ExpectedError('DigestMismatch', `${what} has digest ${digest}, but its header says ${said}`, {
    retry: 'backoff',
  })
}

function headerDigest(answer: HttpAnswer): Digest | undefined {
  const value = answer.headers['docker-content-digest']
  return typeof value === 'string' ? digestIn(value) : undefined
}

function ignoreNotFound(error: unknown): undefined {
  if (error instanceof ExpectedError && error.reason === 'ImageNotFound') return undefined
  throw error
}

/** Never shared between logins: what one may see is no answer to another (rules A8, A11). */
export async function flightKeyOfAll(
  clients: readonly RegistryClient[],
  name: string,
  signal: AbortSignal,
): Promise<string> {
  const keys = clients.map((client) => flightKey(client, name, signal))
  return (await Promise.all(keys)).join('\n')
}

async function flightKey(client: RegistryClient, name: string, signal: AbortSignal): Promise<string> {
  return `${client.endpoint.base.href} ${name} ${await client.identity(signal)}`
}
