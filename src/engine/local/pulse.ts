/** A cheap fingerprint of an app's containers: it changes when one of them starts, gets up or ends. */
import { appId, type AppKey } from '../../reconcile/names.ts'
import type { InstanceStore } from './instance-store.ts'
import type { StatePaths } from './paths.ts'
import { readRun } from './run-state.ts'
import { isUp } from './supervisor.ts'

export async function pulseOf(paths: StatePaths, instances: InstanceStore, key: AppKey): Promise<string> {
  const parts = [appId(key)]
  for (const record of await instances.list(key)) {
    const run = (await instances.runs(record.id)).at(-1) ?? 0
    if (run === 0) continue
    const state = await readRun(paths, record.id, run, [])
    const up = state.kind === 'alive' && (await isUp(paths, record, run))
    parts.push(`${record.id}/${run}/${state.kind}/${up ? 'up' : ''}`)
  }
  return parts.join(' ')
}
