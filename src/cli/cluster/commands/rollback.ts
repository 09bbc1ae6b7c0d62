/** `kubectl fairlead rollback`: back to a digest that ran before. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../../crd/labels.ts'
import { appId } from '../../../reconcile/names.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { freshRequest, rollbackChange } from '../../request.ts'
import { rollbackTarget } from '../../rollback-target.ts'
import { requestOfClusterApp } from '../request.ts'
import { namedClusterApp, onCluster, requireClusterApp, type ClusterTarget } from '../target.ts'

export async function clusterRollback(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<number> {
  const key = namedClusterApp(call, target)
  const before = await requireClusterApp(target, key)
  const digest = rollbackTarget(before, call.options.text('to'))
  const request = freshRequest(context.now())
  return requestOfClusterApp(context, call, target, {
    key,
    before,
    annotations: { [RESOLVE_REQUESTED_AT]: request, [ROLLBACK_TO]: digest },
    expect: { request },
    say: (was, after) => rollbackChange(appId(key), was, after),
  })
}

export const rollback = onCluster(clusterRollback)
