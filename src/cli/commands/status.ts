/** `fairlead status`: what is there, as a table, a page or data. Reads only; needs no controller. */
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
import { watchAnswers, type Shown } from '../watch-answers.ts'

export const status: RunCommand = async (context, call) => {
  const paths = statePathsOf(context, call)
  const show = () =>
    call.args[0] === undefined ? showAll(context, call, paths) : showOne(context, call, paths)
  if (call.options.flag('watch')) await watchAnswers(context, show)
  else await show().print()
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
