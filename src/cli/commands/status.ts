/** `fairlead status`: what is there, as a table, a page or data. Reads only; needs no controller. */
import type { StatePaths } from '../../engine/local/paths.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { namedApp, namespaceOf } from '../app-name.ts'
import { readAllApps, requireReadableApp } from '../app-reader.ts'
import { appPage } from '../app-page.ts'
import { appsTable, listOf, withStatus } from '../app-view.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { lineWidth, outputFormat, writeAnswer, writeSentences } from '../output.ts'
import { errorLines, EXIT_FAILED } from '../print-error.ts'
import { statePathsOf } from '../state-folder.ts'
import { painter } from '../styles.ts'
import { watchAnswers, type Shown } from '../watch-answers.ts'

export const status: RunCommand = async (context, call) => {
  const paths = statePathsOf(context, call)
  const show = () =>
    call.args[0] === undefined ? showAll(context, call, paths) : showOne(context, call, paths)
  if (call.options.flag('watch')) return watchAnswers(context, show)
  const shown = show()
  await shown.print()
  return shown.isWhole ? 0 : EXIT_FAILED
}

interface Answer extends Shown {
  /** false: something could not be read, which is said on standard error. */
  readonly isWhole: boolean
}

function showAll(context: CliContext, call: CommandCall, paths: StatePaths): Answer {
  const onlyNamespace = call.options.text('namespace') !== undefined && !call.options.flag('allNamespaces')
  const namespace = onlyNamespace ? namespaceOf(call) : undefined
  const { apps, damaged } = readAllApps(paths)
  const found = apps.filter(({ key }) => namespace === undefined || key.namespace === namespace)
  const print = async () => {
    const format = outputFormat(call)
    const empty = format === 'table' && found.length === 0 && damaged.length === 0
    if (empty) context.stderr.write(`no apps${namespace === undefined ? '' : ` in namespace ${namespace}`}\n`)
    await writeAnswer(context, format, listOf(found), () =>
      appsTable(found, lineWidth(context), painter(context, context.stdout)),
    )
    writeSentences(context, damaged.flatMap(errorLines))
  }
  const fingerprint = canonicalJson([listOf(found), damaged.map(({ message }) => message)])
  return { fingerprint, isWhole: damaged.length === 0, print }
}

function showOne(context: CliContext, call: CommandCall, paths: StatePaths): Answer {
  const stored = requireReadableApp(paths, namedApp(call))
  const resource = withStatus(stored)
  const page = () => appPage(stored, context.now(), lineWidth(context), painter(context, context.stdout))
  return {
    fingerprint: canonicalJson(resource),
    isWhole: true,
    print: () => writeAnswer(context, outputFormat(call), resource, page),
  }
}
