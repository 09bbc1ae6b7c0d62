/** `fairlead check`: everything that is wrong with files, and with their images, before anything is applied. */
import { printable, type Issue } from '../../errors.ts'
import { shortName } from '../app-view.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import type { AppChecker } from '../app-checker.ts'
import { issuesOf } from '../image-issues.ts'
import { inspectInput, type InputApp } from '../input-documents.ts'
import { lineWidth, outputFormat, sentenceLines, writeAnswer } from '../output.ts'
import { EXIT_FAILED, EXIT_USAGE, issueLine } from '../print-error.ts'
import { painter, type Paint } from '../styles.ts'

/** On the engine that `--engine` names; local without it. */
export const check: RunCommand = (context, call) =>
  checkOn(context, call, call.options.text('engine') === 'kubernetes' ? 'kubernetes' : 'local')

export async function checkOn(
  context: CliContext,
  call: CommandCall,
  engine: 'local' | 'kubernetes',
): Promise<number> {
  const format = outputFormat(call)
  const { documents, issues: invalid } = await inspectInput(context, call)
  const checker =
    engine === 'local'
      ? await (await import('../local-checker.ts')).localChecker(context, call, documents)
      : (await import('../cluster/checker.ts')).clusterChecker(context, call, documents)
  const findings: Issue[] = []
  for (const document of documents.apps)
    findings.push(...(await findingsOf(call, document, checker, documents.apps.length > 1)))
  const issues = [...invalid, ...findings]
  const ok = issues.every(({ severity }) => severity !== 'error')
  await writeAnswer(context, format, { ok, issues }, () =>
    issueLines(issues, documents.apps.length, lineWidth(context), painter(context, context.stdout)),
  )
  if (invalid.length > 0) return EXIT_USAGE
  return ok ? 0 : EXIT_FAILED
}

async function findingsOf(
  call: CommandCall,
  document: InputApp,
  checker: AppChecker,
  several: boolean,
): Promise<readonly Issue[]> {
  const place = several ? `${document.source} (${shortName(document.app.metadata)})` : document.source
  const placed = (issues: readonly Issue[]) =>
    issues.map((issue) => ({ ...issue, location: issue.location ?? printable(place) }))
  if (!call.options.flag('images')) return placed(checker.ofResource(document.app))
  try {
    return placed(await checker.withImage(document))
  } catch (error) {
    return placed(issuesOf(error))
  }
}

function issueLines(issues: readonly Issue[], apps: number, width: number, paint: Paint): string {
  const lines = issues.flatMap((issue) =>
    sentenceLines(issueLine(issue), width).map(
      (line) => `${paint(issue.severity === 'error' ? 'bad' : 'warn', line)}\n`,
    ),
  )
  const errors = issues.filter(({ severity }) => severity === 'error').length
  const count = `${errors} ${errors === 1 ? 'problem' : 'problems'}`
  const end = errors === 0 ? paint('good', `ok: ${apps} ${apps === 1 ? 'app' : 'apps'}`) : paint('bad', count)
  return `${lines.join('')}${end}\n`
}
