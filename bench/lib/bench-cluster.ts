/** An API server with Fairlead's CRD and rights, a registry with a few images, and apps by the thousand. No node. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { CONTAINER_APPS } from '../../src/engine/kubernetes/resources.ts'
import { openKubeClient, type ClusterClient } from '../../src/engine/kubernetes/api/client.ts'
import type { ApiConnection } from '../../src/engine/kubernetes/api/connect.ts'
import { API_VERSION, KIND } from '../../src/crd/labels.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { startControlPlane, type ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { startBedRegistry } from '../../test/cluster/bed/registry.ts'
import { busyboxImage } from '../../test/support/busybox-image.ts'
import { inParallel } from './in-parallel.ts'

const ROOT = path.join(import.meta.dirname, '../..')
export const NAMESPACES = 10
const IMAGES = 10
export const SYSTEM = 'fairlead-system'
export const USER = 'bench-user'
/**
 * Every app has a Service, and every Service an address: the bed's range has 254. `octets`: 10.128 to 10.143, so many
 * that a thousand copies of each find one that is written with as few characters.
 */
export const SERVICE_ADDRESSES = { range: '10.128.0.0/12', octets: [10, 128, 143] } as const

export interface BenchCluster extends AsyncDisposable {
  readonly plane: ControlPlane
  /** All rights. */
  readonly client: ClusterClient
  readonly registry: string
  /** Creates apps `from` up to, but without, `to`. */
  createApps(from: number, to: number): Promise<void>
  /** Rights of the controller for one more service account of its namespace. */
  addAccount(name: string): Promise<void>
}

export async function startBenchCluster(): Promise<BenchCluster> {
  const flags = ['--audit-log-maxsize=4000', `--service-cluster-ip-range=${SERVICE_ADDRESSES.range}`]
  const plane = await startControlPlane({ apiServerFlags: flags })
  const registry = await startBedRegistry(plane)
  for (let n = 0; n < IMAGES; n += 1)
    await registry.push(`bench/app-${n}`, '1', busyboxImage({ run: `exec sleep ${1000 + n}` }))
  for (const file of ['namespace.yaml', 'crd.yaml', 'rbac.yaml'])
    await plane.kubectl(['apply', '--server-side', '-f', path.join(ROOT, 'manifests', file)])
  await makeAccount(plane, SYSTEM, 'fairlead')
  await plane.kubectl(['wait', '--for=condition=Established', 'crd/containerapps.fairlead.dev'])
  for (let n = 0; n < NAMESPACES; n += 1) await makeNamespace(plane, namespaceOf(n))
  const client = openKubeClient(adminConnection(plane))
  const stub = await startStub(plane)
  return {
    plane,
    client,
    registry: registry.host,
    createApps: async (from, to) => {
      const numbers = Array.from({ length: to - from }, (_one, at) => from + at)
      await inParallel(numbers, 16, async (n) => {
        await client.create(CONTAINER_APPS, appOf(n, registry.host), { fieldManager: USER })
      })
    },
    addAccount: (name) => addAccount(plane, name),
    [Symbol.asyncDispose]: async () => {
      stub.disconnect()
      client.close()
      await plane.stop()
    },
  }
}

export function namespaceOf(n: number): string {
  return `apps-${n % NAMESPACES}`
}

/** All of one length: see seed-etcd.ts. */
export function appName(n: number): string {
  return `app-${String(n).padStart(5, '0')}`
}

/** As an app of the documentation: an image, a few variables, a port. Becomes a Deployment and a Service. */
export function appOf(n: number, registry: string): KubeObject {
  const name = appName(n)
  const env = Array.from({ length: 5 }, (_one, at) => ({
    name: `SETTING_${at}`,
    value: `the value of setting ${at}`,
  }))
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name, namespace: namespaceOf(n), labels: { team: `team-${n % NAMESPACES}` } },
    spec: { image: `${registry}/bench/app-${n % IMAGES}:1`, env, ports: [{ name: 'http', port: 8080 }] },
  }
}

/** Pods need the default service account, which Kubernetes' own controllers make elsewhere. */
export async function makeNamespace(plane: ControlPlane, name: string): Promise<void> {
  await plane.api.json('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name },
  })
  await makeAccount(plane, name, 'default')
}

async function makeAccount(plane: ControlPlane, namespace: string, name: string): Promise<void> {
  await plane.api.json('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace },
  })
}

/** manifests/rbac.yaml binds one account; tests of two controllers want to tell them apart in the audit log. */
async function addAccount(plane: ControlPlane, name: string): Promise<void> {
  await makeAccount(plane, SYSTEM, name)
  const subjects = [{ kind: 'ServiceAccount', name, namespace: SYSTEM }]
  const group = 'rbac.authorization.k8s.io'
  for (const role of ['fairlead-manager', 'fairlead-cluster-reader'])
    await plane.api.json('POST', `/apis/${group}/v1/clusterrolebindings`, {
      apiVersion: `${group}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: `${role}-${name}` },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: role },
      subjects,
    })
  await plane.api.json('POST', `/apis/${group}/v1/namespaces/${SYSTEM}/rolebindings`, {
    apiVersion: `${group}/v1`,
    kind: 'RoleBinding',
    metadata: { name: `leader-${name}`, namespace: SYSTEM },
    roleRef: { apiGroup: group, kind: 'Role', name: 'fairlead-leader-election' },
    subjects,
  })
}

export function adminConnection(plane: ControlPlane): ApiConnection {
  return {
    url: new URL(plane.url),
    ca: plane.ca,
    cert: plane.adminCert,
    key: plane.adminKey,
    namespace: 'default',
    headers: () => Promise.resolve({}),
    refresh: () => undefined,
  }
}

async function startStub(plane: ControlPlane): Promise<ChildProcess> {
  const stub = fork(path.join(import.meta.dirname, 'workload-stub.ts'), [plane.root])
  await once(stub, 'message')
  return stub
}
