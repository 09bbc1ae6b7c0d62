/**
 * An image registry for a bed: on loopback for this machine, on the bridge for nodes and pods. Two processes serve one
 * storage folder, and both end with the bed.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pushImage } from '../../../scripts/lib/registry-push.ts'
import type { Artifact } from '../../../scripts/lib/oci-image.ts'
import type { ControlPlane } from './control-plane.ts'
import { httpStatus } from './health.ts'
import { freePorts } from '../../support/free-ports.ts'
import { startProcess, stopProcess } from './processes.ts'

export interface BedRegistry {
  /** `127.0.0.1:PORT`, for this machine; nodes that map it know it by this name as well. */
  readonly host: string
  /** `10.213.N.1:PORT`, for nodes and pods; plain http. On loopback where there is no network. */
  readonly nodeHost: string
  /** Pushes and returns `127.0.0.1:PORT/REPOSITORY:TAG`. */
  push(repository: string, tag: string, image: Artifact): Promise<string>
  /** Refuses connections until `start`; what was pushed stays. */
  stop(): Promise<void>
  start(): Promise<void>
}

export interface BedRegistryOptions {
  /** Tells several of one bed apart. */
  readonly name?: string
  /** Lines of an htpasswd file (bcrypt); without them everyone may push and pull. */
  readonly htpasswd?: string
  /** Value of the Authorization header for `push`. */
  readonly authorization?: string
}

const DEFAULT_NAME = 'registry'
const PORT_FILE = 'port'

export async function startBedRegistry(
  plane: ControlPlane,
  options: BedRegistryOptions = {},
): Promise<BedRegistry> {
  const folder = path.join(plane.root, options.name ?? DEFAULT_NAME)
  await mkdir(folder)
  if (options.htpasswd !== undefined) await writeFile(path.join(folder, 'htpasswd'), `${options.htpasswd}\n`)
  const nodeAddress = nodeAddressOf(plane)
  const [port] = await freePorts(nodeAddress, 1)
  await writeFile(path.join(folder, PORT_FILE), String(port))
  const registry = registryAt(plane, port, options)
  await registry.start()
  return registry
}

/** The registry of a control plane, started by another process. */
export async function attachRegistry(
  plane: ControlPlane,
  options: BedRegistryOptions = {},
): Promise<BedRegistry> {
  const file = path.join(plane.root, options.name ?? DEFAULT_NAME, PORT_FILE)
  return registryAt(plane, Number(await readFile(file, 'utf8')), options)
}

function registryAt(plane: ControlPlane, port: number, options: BedRegistryOptions): BedRegistry {
  const name = options.name ?? DEFAULT_NAME
  const folder = path.join(plane.root, name)
  const nodeAddress = nodeAddressOf(plane)
  const addresses = [...new Set(['127.0.0.1', nodeAddress])]
  const host = `127.0.0.1:${port}`
  return {
    host,
    nodeHost: `${nodeAddress}:${port}`,
    push: async (repository, tag, image) => {
      const { authorization } = options
      await pushImage(host, repository, tag, image, authorization === undefined ? {} : { authorization })
      return `${host}/${repository}:${tag}`
    },
    start: async () => {
      const places = addresses.map((address, index) => ({
        at: `${address}:${port}`,
        process: `${name}${index}`,
      }))
      await Promise.all(places.map((place) => serve(plane.root, folder, place.at, place.process, options)))
    },
    stop: async () => {
      await Promise.all(addresses.map((_, index) => stopProcess(plane.root, `${name}${index}`)))
    },
  }
}

function nodeAddressOf(plane: ControlPlane): string {
  return plane.network?.hostAddress ?? '127.0.0.1'
}

async function serve(
  root: string,
  folder: string,
  address: string,
  name: string,
  options: BedRegistryOptions,
): Promise<void> {
  const config = path.join(folder, `${name}.json`)
  const auth = { htpasswd: { realm: 'bed', path: path.join(folder, 'htpasswd') } }
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: {
        filesystem: { rootdirectory: path.join(folder, 'data') },
        delete: { enabled: true },
        maintenance: { uploadpurging: { enabled: false } },
      },
      http: { addr: address },
      ...(options.htpasswd === undefined ? {} : { auth }),
    }),
  )
  await startProcess(root, {
    name,
    command: ['docker-registry', 'serve', config],
    ready: async () => [200, 401].includes((await httpStatus(`http://${address}/v2/`)) ?? 0),
  })
}
