/** `kubectl fairlead explain`: what Fairlead thinks of an app, why, and what can be done. */
import type { CommandCall } from '../../command-spec.ts'
import type { CliContext } from '../../context.ts'
import { lineWidth, outputFormat, writeAnswer } from '../../output.ts'
import { painter } from '../../styles.ts'
import { appEvents } from '../app-events.ts'
import { observeApp } from '../children.ts'
import { explainPage } from '../explain-page.ts'
import { explanationOf } from '../explanation.ts'
import { namedClusterApp, onCluster, requireClusterApp, type ClusterTarget } from '../target.ts'

export async function clusterExplain(
  context: CliContext,
  call: CommandCall,
  target: ClusterTarget,
): Promise<void> {
  const format = outputFormat(call)
  const { stdout } = context
  const stored = await requireClusterApp(target, namedClusterApp(call, target))
  const observed = await observeApp(target.client, stored, context.now())
  const events = await appEvents(target.client, stored.key, observed)
  const explanation = explanationOf(stored, observed, events, context.now())
  await writeAnswer(context, format, explanation, () =>
    explainPage(explanation, context.now(), lineWidth(context), painter(context, stdout)),
  )
}

export const explain = onCluster(clusterExplain)
