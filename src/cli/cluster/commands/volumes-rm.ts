/** `kubectl fairlead volumes rm`: the explicit word that deletes one volume's claim. */
import { CLAIMS } from '../../../engine/kubernetes/resources.ts'
import { ExpectedError, printable } from '../../../errors.ts'
import { appId } from '../../../reconcile/names.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { volumePathOf } from '../../volume-path.ts'
import { listClaims, type AppClaim } from '../children.ts'
import { namedClusterApp, onCluster, type ClusterTarget } from '../target.ts'
import { refuseUsedClaim } from '../volume-use.ts'

export async function clusterVolumesRm(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<void> {
  const found = await namedClaim(call, target)
  const { key, claim } = found
  refuseOthers(found, call.options.flag('allPaths'))
  await refuseUsedClaim(target.client, found)
  // By uid: a claim of the same name that was made meanwhile is another one.
  await target.client.delete(CLAIMS, key.namespace, claim.name, { uid: claim.uid })
  const paths = claim.paths.map((path) => printable(path, 500)).join(', ')
  context.stdout.write(`deleted volume ${paths} of ${appId(key)} (claim ${claim.name})\n`)
}

async function namedClaim(call: CommandCall, target: ClusterTarget): Promise<AppClaim> {
  const key = namedClusterApp(call, target)
  const path = volumePathOf(call)
  const claims = await listClaims(target.client, key.namespace, key.name)
  const found = claims.find(({ claim }) => claim.paths.includes(path))
  if (found !== undefined) return found
  throw new ExpectedError(
    'VolumeNotFound',
    `there is no volume ${printable(path, 500)} of ${appId(key)}; 'kubectl fairlead volumes ls' lists what there is`,
  )
}

/** With `layout: OneClaim` one claim holds them all, and can only go as a whole. */
function refuseOthers({ claim }: AppClaim, allPaths: boolean): void {
  if (claim.paths.length === 1 || allPaths) return
  throw new ExpectedError(
    'VolumeInUse',
    `the claim ${claim.name} holds ${claim.paths.length} volumes (${claim.paths.map((path) => printable(path)).join(', ')}); --all-paths deletes all of them`,
  )
}

export const volumesRm = onCluster(clusterVolumesRm)
