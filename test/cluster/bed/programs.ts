/** Which programs a control plane is made of: those of the cache, or those a person has in KUBEBUILDER_ASSETS. */
import path from 'node:path'
import { clusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'

export type Command = readonly [string, ...string[]]

export interface ControlPlanePrograms {
  readonly etcd: Command
  readonly apiServer: Command
  readonly kubectl: Command
  /** Missing where only an API server is at hand. */
  readonly controllerManager?: Command
  readonly scheduler?: Command
}

/**
 * KUBEBUILDER_ASSETS (the variable of controller-runtime's envtest) names a folder with kube-apiserver, etcd and kubectl;
 * it is enough for beds without controller-manager, scheduler and nodes.
 */
export async function controlPlanePrograms(apiServerOnly: boolean): Promise<ControlPlanePrograms> {
  const assets = process.env['KUBEBUILDER_ASSETS'] ?? ''
  if (apiServerOnly && assets !== '') {
    return {
      etcd: [path.join(assets, 'etcd')],
      apiServer: [path.join(assets, 'kube-apiserver')],
      kubectl: [path.join(assets, 'kubectl')],
    }
  }
  const { etcd, kube } = await clusterBinaries()
  return {
    etcd: [etcd],
    apiServer: [kube, 'kube-apiserver'],
    kubectl: [kube, 'kubectl'],
    controllerManager: [kube, 'kube-controller-manager'],
    scheduler: [kube, 'kube-scheduler'],
  }
}
