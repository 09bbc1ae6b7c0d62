/** `check` for a cluster, without asking one. */
import { clusterSupportIssues } from '../../reconcile/kubernetes/support.ts'
import type { AppChecker } from '../app-checker.ts'
import type { CommandCall } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import type { InputDocuments } from '../input-documents.ts'
import { examineForCluster } from './examine.ts'
import { renderSettings } from './render-options.ts'

export function clusterChecker(
  context: CliContext,
  call: CommandCall,
  { secrets }: InputDocuments,
): AppChecker {
  const settings = renderSettings(context, call)
  return {
    ofResource: clusterSupportIssues,
    withImage: async (document) =>
      (await examineForCluster({ context, document, secrets, settings, claims: [] })).warnings,
  }
}
