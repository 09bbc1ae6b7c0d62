/**
 * An image registry for a bed: on loopback for this machine, on the bridge for nodes and pods. Two processes serve one
 * storage folder, and both end with the bed.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pushImage } from '../../../scripts/lib/registry-push.ts'
import type { Artifact } from '../../../scripts/lib/oci-image.ts'
import type { ControlPlane } from './control-plane.ts'
import { freePorts, httpStatus } from './health.ts'
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

export async function startBedRegistry(
  plane: ControlPlane,
  options: BedRegistryOptions = {},
): Promise<BedRegistry> {
  const name = options.name ?? 'registry'
  const folder = path.join(plane.root, name)
  await mkdir(folder)
  if (options.htpasswd !== undefined) await writeFile(path.join(folder, 'htpasswd'), `${options.htpasswd}\n`)
  const nodeAddress = plane.network?.hostAddress ?? '127.0.0.1'
  const [port] = await freePorts(nodeAddress, 1)
  const addresses = [...new Set(['127.0.0.1', nodeAddress])]
  const host = `127.0.0.1:${port}`
  const start = async (): Promise<void> => {
    await Promise.all(
      addresses.map((address, index) =>
        serve(plane.root, folder, `${address}:${port}`, `${name}${index}`, options),
      ),
    )
  }
  await start()
  return {
    host,
    nodeHost: `${nodeAddress}:${port}`,
    push: async (repository, tag, image) => {
      const { authorization } = options
      await pushImage(host, repository, tag, image, authorization === undefined ? {} : { authorization })
      return `${host}/${repository}:${tag}`
    },
    start,
    stop: async () => {
      await Promise.all(addresses.map((_, index) => stopProcess(plane.root, `${name}${index}`)))
    },
  }
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
