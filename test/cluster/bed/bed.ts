/** The whole cluster that most tests want: control plane, node, registry, storage. */
import { run } from '../../../scripts/lib/run.ts'
import { clusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'
import { startControlPlane } from './control-plane.ts'
import type { ControlPlane } from './control-plane.ts'
import { LocalVolumes } from './local-volumes.ts'
import { addNode } from './node.ts'
import type { ClusterNode } from './node.ts'
import { startBedRegistry } from './registry.ts'
import type { BedRegistry } from './registry.ts'

export interface BedOptions {
  /** 1–4; by default 1. */
  readonly nodes?: number
  readonly apiServerFlags?: readonly string[]
}

/** Starts one in about five seconds. Needs root. */
export async function startBed(options: BedOptions = {}): Promise<Bed> {
  const plane = await startControlPlane({
    controllerManager: true,
    scheduler: true,
    network: true,
    ...(options.apiServerFlags === undefined ? {} : { apiServerFlags: options.apiServerFlags }),
  })
  try {
    const registry = await startBedRegistry(plane)
    const nodes = []
    for (let index = 0; index < (options.nodes ?? 1); index += 1)
      nodes.push(await addNode(plane, { index, registry }))
    return new Bed(plane, nodes, registry, await LocalVolumes.start(plane, nodes))
  } catch (error) {
    await plane.stop()
    throw error
  }
}

export class Bed implements AsyncDisposable {
  readonly plane: ControlPlane
  readonly nodes: readonly ClusterNode[]
  readonly registry: BedRegistry
  readonly volumes: LocalVolumes

  constructor(
    plane: ControlPlane,
    nodes: readonly ClusterNode[],
    registry: BedRegistry,
    volumes: LocalVolumes,
  ) {
    this.plane = plane
    this.nodes = nodes
    this.registry = registry
    this.volumes = volumes
  }

  get node(): ClusterNode {
    const [node] = this.nodes
    if (node === undefined) throw new Error('this bed has no node')
    return node
  }

  /** Helm 4 as admin, with settings of its own; returns its stdout, throws with its stderr. */
  async helm(args: readonly string[]): Promise<string> {
    const { helm } = await clusterBinaries()
    const home = `${this.plane.root}/helm`
    const env = {
      KUBECONFIG: this.plane.adminKubeconfig,
      HELM_CACHE_HOME: home,
      HELM_CONFIG_HOME: home,
      HELM_DATA_HOME: home,
    }
    const result = await run(helm, args, { env })
    if (result.code !== 0) throw new Error(`helm ${args.join(' ')}: ${result.stderr.trim()}`)
    return result.stdout
  }

  async stop(): Promise<void> {
    await this.volumes.stop()
    await this.plane.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
