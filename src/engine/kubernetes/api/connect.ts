/** How the API server is reached: from a pod by the service account's files, elsewhere by a kubeconfig. */
import type { Agent } from 'node:http'
import type { RequestOptions } from 'node:https'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { ExpectedError, printable, type Reason } from '../../../errors.ts'

export interface ApiConnection {
  /** http or https; a path is a prefix of every request's path. */
  readonly url: URL
  /** PEM. undefined: the authorities that Node trusts. */
  readonly ca: string | Buffer | undefined
  /** In place of `ca` where they may change: asked before every request. */
  readonly readCa?: () => Promise<string>
  /** Client certificate and its key, PEM. */
  readonly cert?: string | Buffer | undefined
  readonly key?: string | Buffer | undefined
  readonly servername?: string | undefined
  readonly insecureSkipVerify?: boolean
  /** In place of our own pools, where the kubeconfig names a proxy. */
  readonly agent?: Agent | undefined
  /** Namespace of the pod or of the context. */
  readonly namespace: string
  /** Authorization and impersonation; asked before every request. Never logged. */
  headers(): Promise<Readonly<Record<string, string>>>
  /** The server refused the credentials (401): the next `headers()` must read them anew. */
  refresh(): void
}

export interface InClusterOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Folder with `token`, `ca.crt` and `namespace`. */
  readonly folder?: string
  /** Milliseconds. */
  readonly now?: () => number
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
/**
 * The kubelet renews a token long before it expires, and authorities long before the old ones go, so what is a few
 * seconds old is as good as the newest.
 */
const FILE_AGE_MS = 10_000

/**
 * The connection of a pod. Throws ClusterUnavailable where this is no pod, or one without a service account token.
 */
export async function connectInCluster(options: InClusterOptions = {}): Promise<ApiConnection> {
  const { env = process.env, folder = SERVICE_ACCOUNT, now = Date.now } = options
  const host = env['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === '') throw notInCluster('KUBERNETES_SERVICE_HOST is not set')
  const address = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!URL.canParse(address)) throw notInCluster(`${printable(address)} is no address`)
  const namespace = await readOwn(folder, 'namespace')
  const authorities = new RenewedFile(folder, 'ca.crt', now)
  const token = new RenewedFile(folder, 'token', now)
  await token.read()
  return {
    url: new URL(address),
    ca: await authorities.read(),
    readCa: () => authorities.read(),
    namespace: namespace.trim(),
    headers: async () => ({ authorization: `Bearer ${(await token.read()).trim()}` }),
    refresh: () => token.forget(),
  }
}

/** A file of the service account that the kubelet writes anew from time to time. */
class RenewedFile {
  readonly #folder: string
  readonly #name: string
  readonly #now: () => number
  #text = ''
  #readAt = Number.NEGATIVE_INFINITY

  constructor(folder: string, name: string, now: () => number) {
    this.#folder = folder
    this.#name = name
    this.#now = now
  }

  async read(): Promise<string> {
    if (this.#now() - this.#readAt < FILE_AGE_MS) return this.#text
    this.#text = await readOwn(this.#folder, this.#name)
    this.#readAt = this.#now()
    return this.#text
  }

  forget(): void {
    this.#readAt = Number.NEGATIVE_INFINITY
  }
}

async function readOwn(folder: string, name: string): Promise<string> {
  try {
    return await readFile(path.join(folder, name), 'utf8')
  } catch (error) {
    throw notInCluster(`${path.join(folder, name)} cannot be read`, error)
  }
}

function notInCluster(found: string, cause?: unknown): ExpectedError {
  return new ExpectedError(
    'ClusterUnavailable',
    `${found}; inside a cluster the pod needs a service account token, elsewhere give a kubeconfig`,
    { cause, retry: 'backoff' },
  )
}

export interface KubeconfigOptions {
  /** One file. undefined: KUBECONFIG (several files are merged), else `~/.kube/config`. */
  readonly path?: string | undefined
  readonly context?: string | undefined
}

/**
 * The connection that a kubeconfig describes, with everything that its users may hold: tokens, files, certificates,
 * exec plugins, auth providers. Throws NotFound and PermissionDenied for files, InvalidSpec for a kubeconfig that can't
 * be used for another reason.
 */
export async function connectKubeconfig(options: KubeconfigOptions = {}): Promise<ApiConnection> {
  // Lazily, since importing it costs 80 MB of memory: a controller in a pod never does (DESIGN §6).
  const { KubeConfig } = await import('@kubernetes/client-node')
  const load = () => {
    const config = new KubeConfig()
    if (options.path === undefined) config.loadFromDefault()
    else config.loadFromFile(options.path)
    if (options.context !== undefined) config.setCurrentContext(options.context)
    return config
  }
  try {
    return await connectionOf(load)
  } catch (error) {
    throw unusable(error, options.path)
  }
}

function unusable(error: unknown, path: string | undefined): ExpectedError {
  const { code, syscall, path: file = '' } = error as NodeJS.ErrnoException
  const isFile = syscall === 'open' && file !== ''
  const details = { cause: error, ...(path === undefined ? {} : { path }) }
  const fail = (reason: Reason, what: string) =>
    new ExpectedError(reason, `the kubeconfig cannot be used: ${what}`, details)
  if (isFile && code === 'ENOENT') return fail('NotFound', `there is no file ${printable(file)}`)
  if (isFile && code === 'EACCES')
    return fail('PermissionDenied', `${printable(file)} may not be read by this user`)
  return fail('InvalidSpec', printable(error instanceof Error ? error.message : String(error)))
}

/** What is used of client-node's `KubeConfig`. */
interface LoadedConfig {
  getCurrentCluster(): { readonly server: string; skipTLSVerify: boolean; readonly proxyUrl?: string } | null
  getContextObject(name: string): { readonly namespace?: string } | null
  getCurrentContext(): string
  applyToHTTPSOptions(options: RequestOptions): Promise<void>
}

async function connectionOf(load: () => LoadedConfig): Promise<ApiConnection> {
  let config = load()
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw new Error(`context ${config.getCurrentContext()} names no cluster`)
  const first = await httpsOptions(config)
  return {
    url: new URL(cluster.server),
    ca: pem(first.ca),
    cert: pem(first.cert),
    key: pem(first.key),
    servername: first.servername,
    insecureSkipVerify: first.rejectUnauthorized === false,
    agent: cluster.proxyUrl === undefined ? undefined : (first.agent as Agent),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    headers: async () => authorization(await httpsOptions(config)),
    refresh: () => {
      config = load()
    },
  }
}

async function httpsOptions(config: LoadedConfig): Promise<RequestOptions> {
  const options: RequestOptions = {}
  const cluster = config.getCurrentCluster()
  // `kubectl proxy` speaks plain HTTP: there is no certificate to verify, and client-node would refuse it.
  if (cluster?.server.startsWith('http:') === true) cluster.skipTLSVerify = true
  await config.applyToHTTPSOptions(options)
  return options
}

function authorization(options: RequestOptions): Readonly<Record<string, string>> {
  const basic =
    typeof options.auth === 'string'
      ? { authorization: `Basic ${Buffer.from(options.auth).toString('base64')}` }
      : {}
  const given = Object.entries((options.headers ?? {}) as Record<string, unknown>)
  return {
    ...basic,
    ...Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), String(value)])),
  }
}

function pem(value: unknown): string | Buffer | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value : undefined
}
