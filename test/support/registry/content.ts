/** What a test registry holds, and its ordinary answers to who asks for it (distribution-spec 1.1). */
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { RecordedRequest } from './recorded.ts'

export interface Document {
  readonly mediaType: string
  readonly bytes: Buffer
}

export type Algorithm = 'sha256' | 'sha512'

interface Listed {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
}

export class Content {
  readonly #manifests = new Map<string, Document>()
  readonly #blobs = new Map<string, Buffer>()
  readonly #tags = new Map<string, Set<string>>()
  readonly #referrers = new Map<string, Listed[]>()

  manifest(repository: string, document: Document, tag?: string, algorithm?: Algorithm): string {
    const digest = digestOf(document.bytes, algorithm)
    this.#manifests.set(`/v2/${repository}/manifests/${digest}`, document)
    if (tag === undefined) return digest
    this.#manifests.set(`/v2/${repository}/manifests/${tag}`, document)
    this.tag(repository, tag)
    return digest
  }

  /** Lists a tag, whether there is a manifest or not. */
  tag(repository: string, tag: string): void {
    const tags = this.#tags.get(repository) ?? new Set()
    this.#tags.set(repository, tags.add(tag))
  }

  blob(repository: string, bytes: Buffer, algorithm?: Algorithm): string {
    const digest = digestOf(bytes, algorithm)
    this.#blobs.set(`/v2/${repository}/blobs/${digest}`, bytes)
    return digest
  }

  /** A document that refers to `subject`; it is served as a manifest as well. */
  referrer(repository: string, subject: string, document: Document, artifactType?: string): string {
    const digest = this.manifest(repository, document)
    const key = `/v2/${repository}/referrers/${subject}`
    const listed = { mediaType: document.mediaType, digest, size: document.bytes.length }
    const entry = artifactType === undefined ? listed : { ...listed, artifactType }
    this.#referrers.set(key, [...(this.#referrers.get(key) ?? []), entry])
    return digest
  }

  serve(request: RecordedRequest, response: ServerResponse): void {
    const { path } = request
    const document = this.#manifests.get(path)
    const blob = this.#blobs.get(path)
    const [, listed] = /^\/v2\/(.+)\/tags\/list$/.exec(path) ?? []
    const tags = this.#tags.get(listed ?? '')
    const referrers = this.#referrers.get(path)
    if (path === '/v2/') sendJson(request, response, {})
    else if (document !== undefined) sendManifest(request, response, document)
    else if (blob !== undefined) sendBlob(request, response, blob)
    else if (tags !== undefined) sendTags(request, response, listed ?? '', [...tags])
    else if (referrers !== undefined)
      sendJson(request, response, indexOf(referrers), 'application/vnd.oci.image.index.v1+json')
    else sendNotFound(request, response)
  }
}

export function digestOf(bytes: Buffer, algorithm: Algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

function indexOf(manifests: readonly Listed[]): unknown {
  return { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
}

function sendManifest(request: RecordedRequest, response: ServerResponse, document: Document): void {
  const { bytes, mediaType } = document
  // By the algorithm that was asked for, as registries that know several do.
  const algorithm = request.path.includes('/manifests/sha512:') ? 'sha512' : 'sha256'
  response.writeHead(200, {
    'content-type': mediaType,
    'content-length': String(bytes.length),
    'docker-content-digest': digestOf(bytes, algorithm),
  })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

function sendBlob(request: RecordedRequest, response: ServerResponse, blob: Buffer): void {
  const start = Number(/^bytes=(\d+)-/.exec(String(request.headers['range'] ?? ''))?.[1] ?? 0)
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(blob.length - start),
  }
  if (start === 0) response.writeHead(200, headers)
  else
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
    })
  response.end(request.method === 'HEAD' ? undefined : blob.subarray(start))
}

/** Pages of `n`, each with the Link to the next. */
function sendTags(
  request: RecordedRequest,
  response: ServerResponse,
  repository: string,
  tags: readonly string[],
): void {
  const { query } = request
  const start = query.has('last') ? tags.indexOf(query.get('last') ?? '') + 1 : 0
  const count = Number(query.get('n') ?? tags.length)
  const page = tags.slice(start, start + count)
  const last = page.at(-1)
  if (last !== undefined && start + count < tags.length) {
    const next = `/v2/${repository}/tags/list?n=${count}&last=${encodeURIComponent(last)}`
    response.setHeader('link', `<${next}>; rel="next"`)
  }
  sendJson(request, response, { name: repository, tags: page })
}

function sendNotFound(request: RecordedRequest, response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'application/json' })
  const error = { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify({ errors: [error] }))
}

function sendJson(
  request: RecordedRequest,
  response: ServerResponse,
  value: unknown,
  type = 'application/json',
): void {
  const text = JSON.stringify(value)
  response.writeHead(200, { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) })
  response.end(request.method === 'HEAD' ? undefined : text)
}
