/**
 * The cluster that a test file works on: the project's shared bed, or one that a person gave (kind, k3d, anything).
 * Given it is by FAIRLEAD_TEST_KUBECONFIG, or by KUBECONFIG together with FAIRLEAD_TEST_CLUSTER=given; its nodes must be
 * able to pull from the registry FAIRLEAD_TEST_REGISTRY (`HOST:PORT`, plain http), to which images are pushed.
 */
import path from 'node:path'
import { inject } from 'vitest'
import { cacheRoot } from '../../../scripts/lib/cache.ts'
import { clusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'
import { goTool } from '../../../scripts/lib/go.ts'
import type { Artifact } from '../../../scripts/lib/oci-image.ts'
import { pushImage } from '../../../scripts/lib/registry-push.ts'
import { ApiClient } from './api-client.ts'
import type { ApiAccess } from './api-client.ts'
import { attachBed } from './bed.ts'
import type { Bed } from './bed.ts'
import { runHelm } from './helm.ts'
import { runKubectl } from './kubectl.ts'
import type { KubectlOptions } from './kubectl.ts'

export interface TestCluster {
  readonly access: ApiAccess
  readonly adminKubeconfig: string
  readonly api: ApiClient
  /** What only our own bed can do (audit log, outages, storage); undefined for a given cluster. */
  readonly bed: Bed | undefined
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<string>
  helm(args: readonly string[]): Promise<string>
  /** Pushes an image; returns the reference that pods pull it by. */
  push(repository: string, tag: string, image: Artifact): Promise<string>
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Root of the shared bed; empty when a cluster is given or none can be had. */
    readonly bedRoot: string
  }
}

/** Path of the given cluster's kubeconfig; undefined when none is given. */
export function givenKubeconfig(): string | undefined {
  const { FAIRLEAD_TEST_KUBECONFIG: own, FAIRLEAD_TEST_CLUSTER: mode, KUBECONFIG: usual } = process.env
  if (own !== undefined && own !== '') return own
  return mode === 'given' && usual !== undefined && usual !== '' ? usual : undefined
}

/** Whether to skip tests for want of root or Go. Under CI never: there they run, and fail for the want. */
export async function isClusterMissing(): Promise<boolean> {
  if (process.env['CI'] !== undefined || givenKubeconfig() !== undefined) return false
  return process.getuid?.() !== 0 || (await isGoMissing())
}

/** The same for control planes without nodes, which need no root and can do with KUBEBUILDER_ASSETS. */
export async function isControlPlaneMissing(): Promise<boolean> {
  if (process.env['CI'] !== undefined || (process.env['KUBEBUILDER_ASSETS'] ?? '') !== '') return false
  return await isGoMissing()
}

async function isGoMissing(): Promise<boolean> {
  return await goTool().then(
    () => false,
    () => true,
  )
}

/** Work in namespaces of your own: other files use the same cluster. */
export async function bedFromEnvironment(): Promise<TestCluster> {
  const given = givenKubeconfig()
  return given === undefined ? fromBed(await attachBed(inject('bedRoot'))) : await fromKubeconfig(given)
}

function fromBed(bed: Bed): TestCluster {
  const { plane, registry } = bed
  return {
    access: plane.adminAccess,
    adminKubeconfig: plane.adminKubeconfig,
    api: plane.api,
    bed,
    kubectl: (args, options) => plane.kubectl(args, options),
    helm: (args) => bed.helm(args),
    push: (repository, tag, image) => registry.push(repository, tag, image),
  }
}

async function fromKubeconfig(file: string): Promise<TestCluster> {
  const { kube } = await clusterBinaries()
  const kubectl = (args: readonly string[], options?: KubectlOptions) =>
    runKubectl([kube, 'kubectl'], file, args, options)
  const access = await accessOf(kubectl)
  const home = path.join(cacheRoot(), 'helm')
  return {
    access,
    adminKubeconfig: file,
    api: new ApiClient(access),
    bed: undefined,
    kubectl,
    helm: (args) => runHelm(file, home, args),
    push: async (repository, tag, image) => {
      const registry = process.env['FAIRLEAD_TEST_REGISTRY'] ?? ''
      if (registry === '') throw new Error('a given cluster needs FAIRLEAD_TEST_REGISTRY=HOST:PORT')
      await pushImage(registry, repository, tag, image)
      return `${registry}/${repository}:${tag}`
    },
  }
}

interface KubeconfigView {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority-data'?: string } },
  ]
  readonly users: readonly [
    {
      readonly user: {
        readonly 'client-certificate-data'?: string
        readonly 'client-key-data'?: string
        readonly token?: string
      }
    },
  ]
}

/** kubectl reads the file as it does for itself: contexts, files beside it, several of them. */
async function accessOf(kubectl: TestCluster['kubectl']): Promise<ApiAccess> {
  const view = await kubectl(['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json'])
  const { clusters, users } = JSON.parse(view) as KubeconfigView
  const { server, 'certificate-authority-data': ca = '' } = clusters[0].cluster
  const { 'client-certificate-data': cert, 'client-key-data': key, token } = users[0].user
  return {
    url: server,
    ca: decoded(ca),
    ...(cert === undefined ? {} : { cert: decoded(cert) }),
    ...(key === undefined ? {} : { key: decoded(key) }),
    ...(token === undefined ? {} : { token }),
  }
}

function decoded(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}
