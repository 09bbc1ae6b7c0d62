/**
 * Pushes images to a distribution registry over plain http, for registries on loopback (distribution-spec 1.1,
 * "Pushing a blob monolithically", "Pushing manifests").
 */
import { createReadStream } from 'node:fs'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../src/image/types.ts'
import type { Artifact, LayerFile } from './oci-image.ts'

export interface PushOptions {
  /** Value of the Authorization header, for registries that want one. */
  readonly authorization?: string
}

type Content = Buffer | LayerFile

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Pushes all blobs, then all manifests by digest, then the top one as `tag`. `host` is `127.0.0.1:5000`. */
export async function pushImage(
  host: string,
  repository: string,
  tag: string,
  image: Artifact,
  options: PushOptions = {},
): Promise<void> {
  const manifestDigests = new Set(image.manifests.map((manifest) => manifest.digest))
  for (const [digest, content] of [...image.files, ...image.blobs]) {
    if (!manifestDigests.has(digest)) await pushBlob(host, repository, digest, content, options)
  }
  for (const { digest, mediaType } of image.manifests) {
    const bytes = image.blobs.get(digest)
    if (bytes === undefined) throw new Error(`manifest ${digest} is not among the blobs`)
    const names = digest === image.digest ? [digest, tag] : [digest]
    for (const name of names) await putManifest(host, repository, name, mediaType, bytes, options)
  }
}

/** Lets `toTag` point at what `fromTag` (a tag or a digest) points at, as a rebuild in the registry would. */
export async function retag(
  host: string,
  repository: string,
  fromTag: string,
  toTag: string,
  options: PushOptions = {},
): Promise<void> {
  const url = `http://${host}/v2/${repository}/manifests/${fromTag}`
  const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'
  const docker =
    'application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json'
  const found = await send('GET', url, { accept: `${accept}, ${docker}` }, undefined, options)
  expectStatus(found, [200], `GET ${url}`)
  const mediaType = found.headers['content-type'] ?? ''
  await putManifest(host, repository, toTag, mediaType, found.body, options)
}

async function pushBlob(
  host: string,
  repository: string,
  digest: Digest,
  content: Content,
  options: PushOptions,
): Promise<void> {
  const base = `http://${host}/v2/${repository}/blobs`
  const known = await send('HEAD', `${base}/${digest}`, {}, undefined, options)
  if (known.status === 200) return
  const started = await send('POST', `${base}/uploads/`, { 'content-length': '0' }, undefined, options)
  expectStatus(started, [202], `POST ${base}/uploads/`)
  // The location may be relative, and may already carry a query.
  const upload = new URL(started.headers.location ?? '', `http://${host}`)
  upload.searchParams.set('digest', digest)
  const size = Buffer.isBuffer(content) ? content.length : content.size
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) }
  expectStatus(await send('PUT', upload.href, headers, content, options), [201], `PUT blob ${digest}`)
}

async function putManifest(
  host: string,
  repository: string,
  name: string,
  mediaType: string,
  bytes: Buffer,
  options: PushOptions,
): Promise<void> {
  const url = `http://${host}/v2/${repository}/manifests/${name}`
  const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) }
  expectStatus(await send('PUT', url, headers, bytes, options), [201], `PUT ${url}`)
}

async function send(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  content: Content | undefined,
  options: PushOptions,
): Promise<Answer> {
  const authorization = options.authorization === undefined ? {} : { authorization: options.authorization }
  const outgoing = request(url, { method, headers: { ...headers, ...authorization } })
  const answered = new Promise<Answer>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) })
      })
    })
  })
  if (content === undefined || Buffer.isBuffer(content)) outgoing.end(content)
  // A registry that refuses early closes the connection; its answer says more than the broken pipe.
  else await pipeline(createReadStream(content.file), outgoing).catch(() => undefined)
  return answered
}

function expectStatus(answer: Answer, allowed: readonly number[], what: string): void {
  if (allowed.includes(answer.status)) return
  const text = answer.body.toString('utf8').slice(0, 300)
  throw new Error(`${what}: the registry answered ${answer.status}, wanted ${allowed.join(' or ')}: ${text}`)
}
