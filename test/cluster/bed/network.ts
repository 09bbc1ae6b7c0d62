/**
 * A bridge of the run's own with its own address ranges; number N of 0–255 is whatever bridge name was still free, which
 * the kernel decides, so that two runs never get the same.
 */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { mustRun, run } from '../../../scripts/lib/run.ts'

export interface BedNetwork {
  /** 0–255 */
  readonly number: number
  readonly bridge: string
  /** Address of the host on the bridge: API server, registry. */
  readonly hostAddress: string
  readonly serviceRange: string
  /** First address of `serviceRange`, the API server's as pods know it. */
  readonly apiServiceAddress: string
  readonly dnsAddress: string
  /** Of all nodes. */
  readonly podRange: string
  /** Address and pods of node 0–3. */
  node(index: number): { readonly address: string; readonly podRange: string }
}

const RUNS_MAX = 256
/** File of a root with the bridge's name. */
export const BRIDGE_FILE = 'bridge'

export async function makeNetwork(root: string): Promise<BedNetwork> {
  for (let number = 0; number < RUNS_MAX; number += 1) {
    const network = networkOf(number)
    if ((await run('ip', ['link', 'add', 'name', network.bridge, 'type', 'bridge'])).code !== 0) continue
    await writeFile(path.join(root, BRIDGE_FILE), network.bridge)
    await mustRun('ip', ['address', 'add', `${network.hostAddress}/24`, 'dev', network.bridge])
    await mustRun('ip', ['link', 'set', network.bridge, 'up'])
    return network
  }
  throw new Error('no bridge could be made: this needs root, and fewer than 256 test clusters')
}

/** Addresses of network `number`, made already. */
export function networkOf(number: number): BedNetwork {
  return {
    number,
    bridge: `fairlead${number}`,
    hostAddress: `10.213.${number}.1`,
    podRange: `10.214.${number}.0/24`,
    serviceRange: `10.215.${number}.0/24`,
    apiServiceAddress: `10.215.${number}.1`,
    dnsAddress: `10.215.${number}.10`,
    node: (index) => ({
      address: `10.213.${number}.${2 + index}`,
      podRange: `10.214.${number}.${64 * index}/26`,
    }),
  }
}
