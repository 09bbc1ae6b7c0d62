/** `fairlead status`: what is there, as a table, a page or data. Reads only; needs no controller. */
import { setTimeout as delay } from 'node:timers/promises'
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import { namedApp, namespaceOf } from '../app-name.ts'
import { appPage } from '../app-page.ts'
import { appsTable, listOf, withStatus } from '../app-view.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { outputFormat, writeAnswer } from '../output.ts'
import { requireApp, statePathsOf } from '../state-folder.ts'
import { painter } from '../styles.ts'

const WATCH_INTERVAL_MS = 500

export const status: RunCommand = async (context, call) => {
  const apps = new LocalAppStore(statePathsOf(context, call))
  const show =
    call.args[0] === undefined ? () => showAll(context, call, apps) : () => showOne(context, call, apps)
  if (call.options.flag('watch')) await watchAnswers(context, show)
  else await (await show()).print()
}

/** An answer and what it depends on: printed again only when that changes. */
interface Shown {
  readonly fingerprint: string
  readonly print: () => Promise<void>
}

async function showAll(context: CliContext, call: CommandCall, apps: LocalAppStore): Promise<Shown> {
  const onlyNamespace = call.options.text('namespace') !== undefined && !call.options.flag('allNamespaces')
  const namespace = onlyNamespace ? namespaceOf(call) : undefined
  const found: StoredApp[] = []
  for (const key of await apps.list()) {
    if (namespace !== undefined && key.namespace !== namespace) continue
    const stored = await apps.read(key)
    if (stored !== undefined) found.push(stored)
  }
  const print = async () => {
    const format = outputFormat(call)
    const empty = format === 'table' && found.length === 0
    if (empty) context.stderr.write(`no apps${namespace === undefined ? '' : ` in namespace ${namespace}`}\n`)
    await writeAnswer(context, format, listOf(found), () =>
      appsTable(found, context.stdout.columns, painter(context, context.stdout)),
    )
  }
  return { fingerprint: canonicalJson(listOf(found)), print }
}

async function showOne(context: CliContext, call: CommandCall, apps: LocalAppStore): Promise<Shown> {
  const stored = await requireApp(apps, namedApp(call))
  const resource = withStatus(stored)
  const page = () => appPage(stored, context.now(), context.stdout.columns, painter(context, context.stdout))
  return {
    fingerprint: canonicalJson(resource),
    print: () => writeAnswer(context, outputFormat(call), resource, page),
  }
}

/** Prints again whenever something changed, until it is interrupted or the app is gone. */
async function watchAnswers(context: CliContext, show: () => Promise<Shown>): Promise<void> {
  const { signal } = context
  let last: string | undefined
  while (!signal.aborted) {
    const shown = await show()
    if (shown.fingerprint !== last) {
      if (last !== undefined && context.stdout.isTerminal) context.stdout.write('\n')
      await shown.print()
    }
    last = shown.fingerprint
    await delay(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
  }
}
