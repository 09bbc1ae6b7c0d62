/** `check` for this host. */
import { localSupportIssues } from '../reconcile/local-support.ts'
import type { AppChecker } from './app-checker.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { withExaminedApp } from './examine.ts'
import type { InputDocuments } from './input-documents.ts'
import { InputSources } from './input-sources.ts'
import { readableState } from './readable-state.ts'
import { sourceDocuments } from './submission.ts'

export async function localChecker(
  context: CliContext,
  call: CommandCall,
  documents: InputDocuments,
): Promise<AppChecker> {
  const paths = await readableState(context, call)
  const sources = new InputSources(paths, sourceDocuments(documents))
  return {
    ofResource: localSupportIssues,
    withImage: (document) =>
      withExaminedApp({ context, document, sources, paths }, ({ warnings }) => Promise.resolve(warnings)),
  }
}
