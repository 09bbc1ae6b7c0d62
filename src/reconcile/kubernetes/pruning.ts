/** Words of GitOps tools on what must outlive its app. */

/** Argo CD shows a claim without owner as an orphan and offers to prune it. */
export const KEEP_FROM_PRUNING = { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' }

/** Whether a claim was made with `retain: Retain`, as its annotations tell. */
export function isMadeToStay(annotations: Readonly<Record<string, string>>): boolean {
  return Object.entries(KEEP_FROM_PRUNING).every(([key, value]) => annotations[key] === value)
}
