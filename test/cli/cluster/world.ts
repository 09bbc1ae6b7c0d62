/** A cluster in memory with a user who runs `kubectl fairlead` against it. */
import { PLUGIN_TREE } from '../../../src/cli/tree/cluster.ts'
import {
  EXEC_SEEN,
  IMAGE_DIGEST,
  REVISION,
  REVISION_LABEL,
  SEEDED_FROM,
  VOLUME_PATH,
} from '../../../src/crd/labels.ts'
import type { AppStatus } from '../../../src/crd/status.ts'
import type { ResourceType } from '../../../src/engine/kubernetes/api/types.ts'
import { CONTAINER_APPS } from '../../../src/engine/kubernetes/resources.ts'
import { childLabels } from '../../../src/reconcile/kubernetes/metadata.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { MemoryKube } from '../../support/memory-kube.ts'
import { DIGEST_A, keyOf, NOON } from '../prepared-state.ts'
import { Desk, type RunOptions, type RunResult } from '../run.ts'

export const BY_USER = { fieldManager: 'user' }
export const BY_CONTROLLER = { fieldManager: 'controller' }

export class ClusterDesk {
  readonly desk = new Desk()
  readonly kube: MemoryKube

  constructor(kube: MemoryKube = new MemoryKube({ now: () => Date.parse(NOON) })) {
    this.kube = kube
  }

  /** As typed after `kubectl fairlead`; the kubeconfig's namespace is `chat`. */
  run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.desk.run(args, {
      isRoot: false,
      now: () => Date.parse(NOON) + 3 * 3_600_000,
      ...options,
      tree: PLUGIN_TREE,
      connectCluster: () => Promise.resolve({ client: this.kube, namespace: 'chat' }),
    })
  }

  /** An app as `kubectl apply` makes it, with what a controller said of it. */
  async app(
    name: string,
    status?: AppStatus,
    spec: Readonly<Record<string, unknown>> = {},
  ): Promise<KubeObject> {
    const key = keyOf(name)
    const object = {
      apiVersion: 'fairlead.dev/v1alpha1',
      kind: 'ContainerApp',
      metadata: { ...key },
      spec: { image: 'example/app:1', ...spec },
    }
    const made = await this.kube.create(CONTAINER_APPS, object, BY_USER)
    return status === undefined ? made : this.writeStatus(name, status)
  }

  writeStatus(name: string, status: AppStatus): Promise<KubeObject> {
    const key = keyOf(name)
    return this.kube.mergePatch(
      CONTAINER_APPS,
      key.namespace,
      key.name,
      { status },
      { ...BY_CONTROLLER, subresource: 'status' },
    )
  }

  /** Creates an object; one with a status gets it by a second write, as the server wants it. */
  async put(type: ResourceType, object: KubeObject): Promise<KubeObject> {
    const { status, ...rest } = object
    const made = await this.kube.create(type, rest, BY_CONTROLLER)
    if (status === undefined) return made
    const { namespace, name } = object.metadata
    return this.kube.mergePatch(
      type,
      namespace,
      name,
      { status },
      { ...BY_CONTROLLER, subresource: 'status' },
    )
  }

  [Symbol.dispose](): void {
    this.desk[Symbol.dispose]()
  }
}

export interface ClaimChanges {
  readonly phase?: 'Bound' | 'Pending' | 'Lost'
  readonly seeded?: Readonly<Record<string, string>>
}

/** A claim as the controller makes it: bound, of 1 GiB, proven to let programs run. Its name is of app and first path. */
export function aClaim(
  app: string,
  paths: readonly string[],
  { phase = 'Bound', seeded = {} }: ClaimChanges = {},
): KubeObject {
  const { namespace, name } = keyOf(app)
  const exec = Object.fromEntries(paths.map((path) => [path, 'exec']))
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      namespace,
      name: `${name}${paths[0]?.replaceAll('/', '-') ?? ''}`,
      labels: childLabels(name, 'volume'),
      annotations: {
        [VOLUME_PATH]: JSON.stringify(paths),
        [SEEDED_FROM]: JSON.stringify(seeded),
        [EXEC_SEEN]: JSON.stringify(exec),
      },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'standard',
      resources: { requests: { storage: '1Gi' } },
    },
    status: { phase, ...(phase === 'Bound' ? { capacity: { storage: '1Gi' } } : {}) },
  }
}

export interface PodChanges {
  readonly phase?: string
  readonly claims?: readonly string[]
  readonly status?: Readonly<Record<string, unknown>>
}

/** The pod of an app on `node-1`. */
export function aPod(
  app: string,
  { phase = 'Running', claims = [], status = {} }: PodChanges = {},
): KubeObject {
  const { namespace, name } = keyOf(app)
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace,
      name: `${name}-0`,
      labels: { ...childLabels(name, 'app'), [REVISION_LABEL]: 'r1' },
      annotations: { [REVISION]: 'r1', [IMAGE_DIGEST]: DIGEST_A },
    },
    spec: {
      nodeName: 'node-1',
      containers: [{ name: 'app', image: `docker.io/example/app:1@${DIGEST_A}` }],
      volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
    },
    status: { phase, ...status },
  }
}
