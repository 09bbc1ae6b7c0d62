/** Helm against one cluster, with nothing of the user's own configuration. */
import { clusterBinaries } from '../../../scripts/lib/cluster-binaries.ts'
import { mustRun } from '../../../scripts/lib/run.ts'

/** Its stdout; throws with its stderr when it fails. `home` is a folder for its caches. */
export async function runHelm(kubeconfig: string, home: string, args: readonly string[]): Promise<string> {
  const { helm } = await clusterBinaries()
  return await mustRun(helm, args, {
    env: { KUBECONFIG: kubeconfig, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home },
  })
}
