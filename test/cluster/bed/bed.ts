/** The whole cluster that most tests want: control plane, node, registry, storage. */
import path from 'node:path'
import { ControlPlane, startControlPlane } from './control-plane.ts'
import { runHelm } from './helm.ts'
import { LocalVolumes } from './local-volumes.ts'
import { addNode, attachNodes } from './node.ts'
import type { ClusterNode } from './node.ts'
import { attachRegistry, startBedRegistry } from './registry.ts'
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
    return new Bed(plane, nodes, registry, await LocalVolumes.start(plane, nodes), true)
  } catch (error) {
    await plane.stop()
    throw error
  }
}

/** The bed below `root`, started by another process: everything works, but `stop` is left to that one. */
export async function attachBed(root: string): Promise<Bed> {
  const plane = await ControlPlane.attach(root)
  const nodes = await attachNodes(plane)
  return new Bed(plane, nodes, await attachRegistry(plane), LocalVolumes.attach(plane, nodes), false)
}

export class Bed implements AsyncDisposable {
  readonly plane: ControlPlane
  readonly nodes: readonly ClusterNode[]
  readonly registry: BedRegistry
  readonly volumes: LocalVolumes
  private readonly isOwner: boolean

  constructor(
    plane: ControlPlane,
    nodes: readonly ClusterNode[],
    registry: BedRegistry,
    volumes: LocalVolumes,
    isOwner: boolean,
  ) {
    this.plane = plane
    this.nodes = nodes
    this.registry = registry
    this.volumes = volumes
    this.isOwner = isOwner
  }

  get node(): ClusterNode {
    const [node] = this.nodes
    if (node === undefined) throw new Error('this bed has no node')
    return node
  }

  /** Helm 4 as admin; returns its stdout, throws with its stderr. */
  helm(args: readonly string[]): Promise<string> {
    return runHelm(this.plane.adminKubeconfig, path.join(this.plane.root, 'helm'), args)
  }

  async stop(): Promise<void> {
    if (!this.isOwner) return this.plane.api.close()
    await this.volumes.stop()
    await this.plane.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
