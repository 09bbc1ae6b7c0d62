/** The real distribution registry on a free loopback port: Debian's (package docker-registry), or another build of it. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-ports.ts'

export interface RealRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string
  stop(): Promise<void>
}

export interface RealRegistryOptions {
  /** Lines of an htpasswd file (bcrypt); without them everyone may push and pull. */
  readonly htpasswd?: string
  /** The program; by default `docker-registry` of the PATH. */
  readonly program?: string
  /** PEM files of its certificate and key; without them it speaks plain http. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  /** Whose tokens it takes. */
  readonly token?: TokenAuth
}

/** As the configuration of distribution calls it. */
export interface TokenAuth {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** PEM file with the certificates that tokens may be signed with. */
  readonly rootcertbundle: string
}

/** User `reader`, password `secret`, as htpasswd writes it with bcrypt. */
export const READER_HTPASSWD = 'reader:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'

const READY_MS = 20_000

/** Starts it on `dir`, or on a folder of its own that `stop` removes. Throws with its log when it does not come up. */
export async function startRegistry(dir?: string, options: RealRegistryOptions = {}): Promise<RealRegistry> {
  const home = await mkdtemp(join(tmpdir(), 'fairlead-registry-'))
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const htpasswd = join(home, 'htpasswd')
  if (options.htpasswd !== undefined) await writeFile(htpasswd, `${options.htpasswd}\n`)
  const config = join(home, 'config.yml')
  await writeFile(config, configOf(host, dir ?? join(home, 'data'), htpasswd, options))
  const program = options.program ?? 'docker-registry'
  const child = spawn(program, ['serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Version 3 would send traces to a collector on this machine.
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  })
  const log: string[] = []
  child.stdout.on('data', (chunk: Buffer) => log.push(chunk.toString('utf8')))
  child.stderr.on('data', (chunk: Buffer) => log.push(chunk.toString('utf8')))
  const ended = endOf(child)
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    await rm(home, { recursive: true, force: true })
  }
  try {
    await untilReady(host, ended)
  } catch (error) {
    await stop()
    throw new Error(`${program} did not start: ${log.join('').slice(-2000)}`, { cause: error })
  }
  return { host, stop }
}

function configOf(address: string, storage: string, htpasswd: string, options: RealRegistryOptions): string {
  const { tls, token } = options
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storage },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: address,
      ...(tls === undefined ? {} : { tls: { certificate: tls.certFile, key: tls.keyFile } }),
    },
    ...(options.htpasswd === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
    ...(token === undefined ? {} : { auth: { token } }),
  }
  // JSON is YAML.
  return JSON.stringify(config)
}

/** Resolves when the process is gone or could not be started; never rejects. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(`ended with ${code ?? signal}`))
    child.once('error', (error) => resolve(error.message))
  })
}

/** Polls until it accepts connections: there is no other sign of readiness, and it listens last of all. */
async function untilReady(host: string, ended: Promise<string>): Promise<void> {
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline) {
    if (await accepts(host)) return
    const end = await Promise.race([ended, sleep(25, undefined)])
    if (end !== undefined) throw new Error(end)
  }
  throw new Error(`no answer within ${READY_MS} ms`)
}

function accepts(host: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${host}`)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    const end = (isOpen: boolean) => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
