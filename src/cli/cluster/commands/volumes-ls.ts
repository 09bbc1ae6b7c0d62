/** `kubectl fairlead volumes ls`: the claims that Fairlead made, also of apps that are gone. */
import { appId } from '../../../reconcile/names.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { lineWidth, outputFormat, writeAnswer } from '../../output.ts'
import { painter } from '../../styles.ts'
import { noVolumes, volumesTable } from '../../volume-view.ts'
import { listClaims } from '../children.ts'
import { listApps, namedClusterApp, onCluster, type ClusterTarget } from '../target.ts'
import { listedVolumes, volumeRows } from '../volume-row.ts'

export async function clusterVolumesLs(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<void> {
  const format = outputFormat(call)
  const only = call.args[0] === undefined ? undefined : namedClusterApp(call, target)
  const everywhere = only === undefined && call.options.flag('allNamespaces')
  const namespace = everywhere ? undefined : (only?.namespace ?? target.namespace)
  const [claims, apps] = await Promise.all([
    listClaims(target.client, namespace, only?.name),
    listApps(target, namespace),
  ])
  const statuses = new Map(apps.map(({ key, status }) => [appId(key), status]))
  const rows = claims.flatMap((each) => {
    const id = appId(each.key)
    return volumeRows(each, statuses.has(id) ? statuses.get(id) : null)
  })
  if (format === 'table' && rows.length === 0) context.stderr.write(noVolumes(only, namespace))
  await writeAnswer(context, format, { items: rows }, () =>
    volumesTable(listedVolumes(rows), lineWidth(context), painter(context, context.stdout)),
  )
}

export const volumesLs = onCluster(clusterVolumesLs)
