/** `fairlead status`: what is there, as a table, a page or data. Reads only; needs no controller. */
import { setTimeout as delay } from 'node:timers/promises'
import type { StatePaths } from '../../engine/local/paths.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { namedApp, namespaceOf } from '../app-name.ts'
import { readAllApps, requireReadableApp } from '../app-reader.ts'
import { appPage } from '../app-page.ts'
import { appsTable, listOf, withStatus } from '../app-view.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { outputFormat, writeAnswer } from '../output.ts'
import { statePathsOf } from '../state-folder.ts'
import { painter } from '../styles.ts'

const WATCH_INTERVAL_MS = 500

export const status: RunCommand = async (context, call) => {
  const paths = statePathsOf(context, call)
  const show = () =>
    call.args[0] === undefined ? showAll(context, call, paths) : showOne(context, call, paths)
  if (call.options.flag('watch')) await watchAnswers(context, show)
  else await show().print()
}

/** An answer and what it depends on: printed again only when that changes. */
interface Shown {
  readonly fingerprint: string
  readonly print: () => Promise<void>
}

function showAll(context: CliContext, call: CommandCall, paths: StatePaths): Shown {
  const onlyNamespace = call.options.text('namespace') !== undefined && !call.options.flag('allNamespaces')
  const namespace = onlyNamespace ? namespaceOf(call) : undefined
  const found = readAllApps(paths).filter(({ key }) => namespace === undefined || key.namespace === namespace)
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

function showOne(context: CliContext, call: CommandCall, paths: StatePaths): Shown {
  const stored = requireReadableApp(paths, namedApp(call))
  const resource = withStatus(stored)
  const page = () => appPage(stored, context.now(), context.stdout.columns, painter(context, context.stdout))
  return {
    fingerprint: canonicalJson(resource),
    print: () => writeAnswer(context, outputFormat(call), resource, page),
  }
}

/** Prints again whenever something changed, until it is interrupted or the app is gone. */
async function watchAnswers(context: CliContext, show: () => Shown): Promise<void> {
  const { signal } = context
  let last: string | undefined
  while (!signal.aborted) {
    const shown = show()
    if (shown.fingerprint !== last) {
      if (last !== undefined && context.stdout.isTerminal) context.stdout.write('\n')
      await shown.print()
    }
    last = shown.fingerprint
    await delay(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
  }
}
