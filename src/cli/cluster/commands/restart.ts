/** `kubectl fairlead restart`: fresh pods of the same digest. */
import { RESTART_REQUESTED_AT } from '../../../crd/labels.ts'
import { ExpectedError } from '../../../errors.ts'
import { appId } from '../../../reconcile/names.ts'
import { readyOf } from '../../app-view.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { restartNote, withdrawal } from '../../open-request.ts'
import { freshRequest } from '../../request.ts'
import { requestOfClusterApp } from '../request.ts'
import { namedClusterApp, onCluster, requireClusterApp, type ClusterTarget } from '../target.ts'

export async function clusterRestart(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<number> {
  const key = namedClusterApp(call, target)
  const before = await requireClusterApp(target, key)
  if (readyOf(before.status)?.reason === 'Suspended') {
    throw new ExpectedError('NotFound', `${appId(key)} is suspended: it has no pod to restart`, {
      path: 'spec.suspend',
    })
  }
  const open = withdrawal(before)
  return requestOfClusterApp(context, call, target, {
    key,
    before,
    annotations: { ...open.annotations, [RESTART_REQUESTED_AT]: freshRequest(context.now()) },
    note: restartNote(appId(key), open),
    expect: { otherRevisionThan: before.status?.workload?.revision },
    say: (_before, after) =>
      `${appId(key)}: restarted, revision ${after.status?.workload?.revision ?? 'unknown'}`,
  })
}

export const restart = onCluster(clusterRestart)
