/** `kubectl fairlead rebuild`: the user's word that the reference is to be resolved anew, or need not be any more. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../../crd/labels.ts'
import { appId } from '../../../reconcile/names.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { cancelled, withdrawal } from '../../open-request.ts'
import { digestChange, freshRequest } from '../../request.ts'
import { requestOfClusterApp } from '../request.ts'
import { namedClusterApp, onCluster, requireClusterApp, type ClusterTarget } from '../target.ts'

export async function clusterRebuild(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<number> {
  if (call.options.flag('cancel')) return cancel(context, call, target)
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

async function cancel(context: CliContext, call: CommandCall, target: ClusterTarget): Promise<number> {
  const key = namedClusterApp(call, target)
  const before = await requireClusterApp(target, key)
  const open = withdrawal(before)
  return requestOfClusterApp(context, call, target, {
    key,
    before,
    annotations: open.annotations,
    expect: {},
    waits: false,
    say: (_before, after) => cancelled(appId(key), open, after.status?.image?.digest),
  })
}

export const rebuild = onCluster(clusterRebuild)
