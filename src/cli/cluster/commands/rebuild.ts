/** `kubectl fairlead rebuild`: the user's word that the reference is to be resolved anew. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../../crd/labels.ts'
import { appId } from '../../../reconcile/names.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { digestChange, freshRequest } from '../../request.ts'
import { requestOfClusterApp } from '../request.ts'
import { namedClusterApp, onCluster, requireClusterApp, type ClusterTarget } from '../target.ts'

export async function clusterRebuild(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<number> {
  const key = namedClusterApp(call, target)
  const request = freshRequest(context.now())
  return requestOfClusterApp(context, call, target, {
    key,
    before: await requireClusterApp(target, key),
    annotations: { [RESOLVE_REQUESTED_AT]: request, [ROLLBACK_TO]: undefined },
    expect: { request },
    say: (before, after) => digestChange(appId(key), before, after),
  })
}

export const rebuild = onCluster(clusterRebuild)
