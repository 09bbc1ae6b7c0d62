/** `fairlead check`: everything that is wrong with files, and with their images, before anything is applied. */
import { printable, type Issue } from '../../errors.ts'
import { localSupportIssues } from '../../reconcile/local-support.ts'
import { shortName } from '../app-view.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { issuesOf, withExaminedApp } from '../examine.ts'
import { inspectInput, type InputApp } from '../input-documents.ts'
import { InputSources } from '../input-sources.ts'
import { outputFormat, writeAnswer } from '../output.ts'
import { EXIT_FAILED, EXIT_USAGE, issueLine } from '../print-error.ts'
import { readableState } from '../readable-state.ts'
import { painter, type Paint } from '../styles.ts'
import { sourceDocuments } from '../submission.ts'

export const check: RunCommand = async (context, call) => {
  const format = outputFormat(call)
  const { documents, issues: invalid } = await inspectInput(context, call)
  const sources = new InputSources(await readableState(context, call), sourceDocuments(documents))
  const findings: Issue[] = []
  for (const document of documents.apps)
    findings.push(...(await findingsOf(context, call, document, sources, documents.apps.length > 1)))
  const issues = [...invalid, ...findings]
  const ok = issues.every(({ severity }) => severity !== 'error')
  await writeAnswer(context, format, { ok, issues }, () =>
    issueLines(issues, documents.apps.length, painter(context, context.stdout)),
  )
  if (invalid.length > 0) return EXIT_USAGE
  return ok ? 0 : EXIT_FAILED
}

async function findingsOf(
  context: CliContext,
  call: CommandCall,
  document: InputApp,
  sources: InputSources,
  several: boolean,
): Promise<readonly Issue[]> {
  const place = several ? `${document.source} (${shortName(document.app.metadata)})` : document.source
  const placed = (issues: readonly Issue[]) =>
    issues.map((issue) => ({ ...issue, location: issue.location ?? printable(place) }))
  if (!call.options.flag('images')) return placed(localSupportIssues(document.app))
  const paths = await readableState(context, call)
  try {
    return placed(
      await withExaminedApp({ context, document, sources, paths }, async ({ warnings }) => warnings),
    )
  } catch (error) {
    return placed(issuesOf(error))
  }
}

function issueLines(issues: readonly Issue[], apps: number, paint: Paint): string {
  const lines = issues.map(
    (issue) => `${paint(issue.severity === 'error' ? 'bad' : 'warn', issueLine(issue))}\n`,
  )
  const errors = issues.filter(({ severity }) => severity === 'error').length
  const count = `${errors} ${errors === 1 ? 'problem' : 'problems'}`
  const end = errors === 0 ? paint('good', `ok: ${apps} ${apps === 1 ? 'app' : 'apps'}`) : paint('bad', count)
  return `${lines.join('')}${end}\n`
}
