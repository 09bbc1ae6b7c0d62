/**
 * Fairlead as the manifests install it, on a control plane without nodes: its rights, its Lease, its images on disk. The
 * controller is a process of this machine, and pods become ready by the stub.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { findCondition, type Condition } from '../../../src/crd/conditions.ts'
import { API_VERSION, KIND } from '../../../src/crd/labels.ts'
import type { AppStatus } from '../../../src/crd/status.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { writeImages } from '../../engine/kubernetes/world-images.ts'
import type { AuditEvent } from '../bed/audit.ts'
import { startControlPlane, type ControlPlane } from '../bed/control-plane.ts'
import { writeKubeconfig } from '../bed/kubeconfig.ts'
import { startController, type RunningController } from './controller.ts'
import { makeStorageClass, StubbedCluster } from './stubbed-cluster.ts'

type Fields = Readonly<Record<string, unknown>>

const ROOT = path.join(import.meta.dirname, '../../..')
const NAMESPACE = 'fairlead-system'
const USER = `system:serviceaccount:${NAMESPACE}:fairlead`

/** Images that apps can name: see world-images.ts. */
export const APP_IMAGE = 'registry.test/apps/app'

export class StubbedFairlead implements AsyncDisposable {
  readonly plane: ControlPlane
  readonly stub: StubbedCluster
  readonly controller: RunningController
  readonly #folders: readonly string[]

  private constructor(plane: ControlPlane, controller: RunningController, folders: readonly string[]) {
    this.plane = plane
    this.stub = new StubbedCluster(plane)
    this.controller = controller
    this.#folders = folders
  }

  /** Installs CRD and roles by kubectl, and starts one controller of the whole cluster. */
  static async start(): Promise<StubbedFairlead> {
    const plane = await startControlPlane({ controllerManager: true })
    const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-stubbed-'))
    const images = await writeImages()
    await plane.kubectl(['apply', '--server-side', '-k', path.join(ROOT, 'manifests')])
    await plane.kubectl(['wait', '--for=condition=Established', 'crd/containerapps.fairlead.dev'])
    await makeStorageClass(plane)
    const token = await plane.tokenFor(`${NAMESPACE}/fairlead`)
    const kubeconfig = await writeKubeconfig(
      path.join(folder, 'kubeconfig'),
      { url: plane.url, ca: plane.ca, token },
      NAMESPACE,
    )
    const registries = path.join(folder, 'registries.json')
    await writeFile(
      registries,
      JSON.stringify({ layouts: [{ prefix: 'registry.test/apps/', path: images }] }),
    )
    const controller = await startController(plane, {
      namespaces: [],
      preflightImage: 'registry.test/fairlead:1',
      kubeconfig,
      args: ['--registries-config', registries, '--leader-elect', '--leader-namespace', NAMESPACE],
    })
    return new StubbedFairlead(plane, controller, [folder, images])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controller.stop()
    await this.stub[Symbol.asyncDispose]()
    await this.plane.stop()
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true })
  }

  async object<T = KubeObject>(namespace: string, kind: string, name: string): Promise<T> {
    return JSON.parse(await this.plane.kubectl(['get', '-n', namespace, kind, name, '-o', 'json'])) as T
  }

  async condition(namespace: string, name: string, type: string): Promise<Condition | undefined> {
    const { status } = await this.object<{ status?: AppStatus }>(namespace, 'capp', name)
    return findCondition(status?.conditions ?? [], type)
  }

  /** What Fairlead wrote, from the audit log; its Lease is left out. */
  async writes(): Promise<readonly AuditEvent[]> {
    const events = await this.plane.auditEvents()
    return events.filter(({ user, objectRef }) => user.username === USER && objectRef?.resource !== 'leases')
  }
}

export function anApp(name: string, spec: Fields = {}, metadata: Fields = {}): Fields {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name, ...metadata },
    spec: { image: `${APP_IMAGE}:1`, ...spec },
  }
}
