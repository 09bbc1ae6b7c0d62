/** The real distribution registry of Debian (package docker-registry) on a free loopback port. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RealRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string
  stop(): Promise<void>
}

export interface RealRegistryOptions {
  /** Lines of an htpasswd file (bcrypt); without them everyone may push and pull. */
  readonly htpasswd?: string
}

/** User `reader`, password `secret`, as htpasswd writes it with bcrypt. */
export const READER_HTPASSWD = 'reader:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'

const READY_MS = 20_000

/** Starts it on `dir`, or on a folder of its own that `stop` removes. Throws with its log when it does not come up. */
export async function startRegistry(dir?: string, options: RealRegistryOptions = {}): Promise<RealRegistry> {
  const home = await mkdtemp(join(tmpdir(), 'fairlead-registry-'))
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  if (options.htpasswd !== undefined) await writeFile(join(home, 'htpasswd'), `${options.htpasswd}\n`)
  const config = join(home, 'config.yml')
  await writeFile(
    config,
    configOf(
      host,
      dir ?? join(home, 'data'),
      options.htpasswd === undefined ? undefined : join(home, 'htpasswd'),
    ),
  )
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'pipe', 'pipe'] })
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
    throw new Error(`docker-registry did not start: ${log.join('').slice(-2000)}`, { cause: error })
  }
  return { host, stop }
}

function configOf(address: string, storage: string, htpasswd: string | undefined): string {
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storage },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: address },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
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

/** Polls until it answers: there is no other sign of readiness. */
async function untilReady(host: string, ended: Promise<string>): Promise<void> {
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.status === 200 || answer?.status === 401) return
    const end = await Promise.race([ended, sleep(25, undefined)])
    if (end !== undefined) throw new Error(end)
  }
  throw new Error(`no answer within ${READY_MS} ms`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return port
}
