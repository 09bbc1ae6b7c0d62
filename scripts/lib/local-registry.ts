/** Debian's docker-registry as a child process on a free loopback port, with its storage in a given folder. */
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../test/support/free-ports.ts'

export interface LocalRegistry {
  /** `127.0.0.1:PORT`, to be written before the repository. */
  readonly host: string
  stop(): Promise<void>
}

const READY_WITHIN_MS = 15_000

/** Starts a registry and waits until it answers. */
export async function startLocalRegistry(folder: string): Promise<LocalRegistry> {
  const host = `127.0.0.1:${await freePort()}`
  const config = path.join(folder, 'config.json')
  await mkdir(folder, { recursive: true })
  // YAML is a superset of JSON.
  const storage = { filesystem: { rootdirectory: path.join(folder, 'storage') } }
  await writeFile(
    config,
    JSON.stringify({ version: 0.1, storage, http: { addr: host }, log: { level: 'error' } }),
  )
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const words: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => words.push(text))
  let end: string | undefined
  const ended = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      end = error.message
      resolve()
    })
    child.on('close', (code) => {
      end ??= `exit code ${String(code)}: ${words.join('').trim()}`
      resolve()
    })
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  const deadline = performance.now() + READY_WITHIN_MS
  while (!(await answers(host))) {
    if (end !== undefined) throw new Error(`docker-registry: ${end}`)
    if (performance.now() > deadline) {
      await stop()
      throw new Error(`docker-registry did not answer on ${host} within ${READY_WITHIN_MS} ms`)
    }
    await delay(20)
  }
  return { host, stop }
}

async function answers(host: string): Promise<boolean> {
  try {
    return (await fetch(`http://${host}/v2/`)).ok
  } catch {
    return false
  }
}
