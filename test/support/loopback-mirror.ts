/**
 * A read-only mirror of Docker Hub in a network of its own: a network namespace with nothing but loopback. Whoever is
 * to see only the mirror runs inside it, may take any port, and can't reach anybody else. Images are OCI layouts in
 * folders named as the repositories, read anew for every request; tags can be moved by writing to them.
 *
 * Run as a program (`node loopback-mirror.ts FOLDER`) it is the server, and says on stdout what it is asked.
 */
import { spawn } from 'node:child_process'
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { pipeline } from 'node:stream'
import { createInterface } from 'node:readline'
import type { Descriptor, Digest } from '../../src/image/types.ts'
import { blobPath } from './layout.ts'

export interface MirrorRequest {
  readonly method: string
  readonly path: string
  /** What the client gave as credentials; undefined for none. */
  readonly authorization?: string
}

export interface LoopbackMirror extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, of the namespace. */
  readonly url: string
  readonly requests: readonly MirrorRequest[]
  /** The words that run a program inside the namespace. */
  inside(program: string, ...args: readonly string[]): readonly [string, ...string[]]
  /** Routes out of the namespace, as the kernel lists them; loopback is not among them. */
  routes(): readonly string[]
  /** How many connections and datagrams of anybody inside had nowhere to go, as the kernel counted. */
  strayAttempts(): number
}

/** Starts it on a folder of layouts; `FOLDER/library/postgres` is what `postgres` names on Docker Hub. Needs root. */
export async function startMirror(folder: string): Promise<LoopbackMirror> {
  const script = 'ip link set lo up && exec "$@"'
  const program = [process.execPath, import.meta.filename, folder]
  const child = spawn('unshare', ['--net', 'sh', '-c', script, 'sh', ...program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const requests: MirrorRequest[] = []
  const lines = createInterface({ input: child.stdout })
  const port = await new Promise<number>((resolve, reject) => {
    lines.once('line', (line) => {
      lines.on('line', (request) => requests.push(JSON.parse(request) as MirrorRequest))
      resolve(Number(line))
    })
    ended.then(([code]) => reject(new Error(`the mirror ended with ${String(code)}`)), reject)
  })
  const own = `/proc/${child.pid ?? 0}`
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    inside: (name, ...args) => ['nsenter', `--net=${own}/ns/net`, name, ...args],
    // The first line is a heading.
    routes: () => readFileSync(`${own}/net/route`, 'utf8').trim().split('\n').slice(1),
    strayAttempts: () => unroutable(`${own}/net`),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      await ended
    },
  }
}

/** Packets without a route, over IPv4 and IPv6. */
function unroutable(net: string): number {
  const six = /^Ip6OutNoRoutes\s+(\d+)$/m.exec(readFileSync(`${net}/snmp6`, 'utf8'))?.[1]
  return counter(readFileSync(`${net}/snmp`, 'utf8'), 'Ip', 'OutNoRoutes') + Number(six ?? 0)
}

/** A number from /proc/net/snmp: for each protocol a line of names and a line of values. */
function counter(text: string, protocol: string, name: string): number {
  const [names = [], values = []] = text
    .split('\n')
    .filter((line) => line.startsWith(`${protocol}: `))
    .map((line) => line.split(' '))
  const value = values[names.indexOf(name)]
  if (value === undefined) throw new Error(`no counter ${protocol} ${name}`)
  return Number(value)
}

const REF_NAME = 'org.opencontainers.image.ref.name'

function serve(folder: string): void {
  const server = createServer((request, response) => {
    const { authorization } = request.headers
    const said: MirrorRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      ...(authorization === undefined ? {} : { authorization }),
    }
    process.stdout.write(`${JSON.stringify(said)}\n`)
    answer(folder, request, response)
  })
  // Whoever started it has ended, in whatever way.
  process.stdin.resume().on('end', () => {
    server.close()
    server.closeAllConnections()
  })
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const [, repository = '', kind, name = ''] =
    /^\/v2\/([a-z0-9/._-]+)\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? []
  const layout = path.join(folder, repository)
  const digest = name.startsWith('sha256:') ? (name as Digest) : tagged(layout, name)?.digest
  const file = digest === undefined ? undefined : path.join(layout, blobPath(digest))
  if (digest === undefined || file === undefined || !existsSync(file)) {
    response.writeHead(404, { 'content-type': 'application/json' })
    response.end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
    return
  }
  response.writeHead(200, {
    'content-type': kind === 'manifests' ? mediaTypeOf(file) : 'application/octet-stream',
    'content-length': String(statSync(file).size),
    'docker-content-digest': digest,
  })
  if (request.method === 'HEAD') response.end()
  else pipeline(createReadStream(file), response, () => undefined)
}

function tagged(layout: string, tag: string): Descriptor | undefined {
  const file = path.join(layout, 'index.json')
  if (!existsSync(file)) return undefined
  const index = JSON.parse(readFileSync(file, 'utf8')) as { readonly manifests: readonly Descriptor[] }
  return index.manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag)
}

function mediaTypeOf(manifest: string): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly mediaType: string }).mediaType
}

if (import.meta.main) serve(process.argv[2] ?? '.')
