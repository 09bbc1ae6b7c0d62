/** `kubectl fairlead status`: the ContainerApps of a cluster, as a table, a page or data. */
import { canonicalJson } from '../../../reconcile/canonical-json.ts'
import { appPage } from '../../app-page.ts'
import { appsTable, listOf, withStatus } from '../../app-view.ts'
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { lineWidth, outputFormat, writeAnswer } from '../../output.ts'
import { painter } from '../../styles.ts'
import { watchAnswers, type Shown } from '../../watch-answers.ts'
import { CLUSTER_WORDS } from '../page-words.ts'
import { listApps, namedClusterApp, onCluster, requireClusterApp, type ClusterTarget } from '../target.ts'

/** Each look is a request: less often than on one's own disk. */
const WATCH_INTERVAL_MS = 2000

export async function clusterStatus(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<void> {
  const show = () =>
    call.args[0] === undefined ? showAll(context, call, target) : showOne(context, call, target)
  if (call.options.flag('watch')) return watchAnswers(context, show, WATCH_INTERVAL_MS)
  await (await show()).print()
}

async function showAll(context: CliContext, call: CommandCall, target: ClusterTarget): Promise<Shown> {
  const namespace = call.options.flag('allNamespaces') ? undefined : target.namespace
  const apps = await listApps(target, namespace)
  const print = async () => {
    const format = outputFormat(call)
    if (format === 'table' && apps.length === 0)
      context.stderr.write(`no apps${namespace === undefined ? '' : ` in namespace ${namespace}`}\n`)
    await writeAnswer(context, format, listOf(apps), () =>
      appsTable(apps, lineWidth(context), painter(context, context.stdout)),
    )
  }
  return { fingerprint: canonicalJson(listOf(apps)), print }
}

async function showOne(context: CliContext, call: CommandCall, target: ClusterTarget): Promise<Shown> {
  const stored = await requireClusterApp(target, namedClusterApp(call, target))
  const resource = withStatus(stored)
  const { stdout } = context
  const page = () =>
    appPage(stored, context.now(), lineWidth(context), painter(context, stdout), CLUSTER_WORDS)
  return {
    fingerprint: canonicalJson(resource),
    print: () => writeAnswer(context, outputFormat(call), resource, page),
  }
}

export const status = onCluster(clusterStatus)
