/** Whether anything of an app is to run. Pure; its fields may be anything, for apps whose files may be damaged. */

/** Of a spec. The schema knows no negative `replicas`; none said means one. */
export function wantsToRun({
  suspend,
  replicas,
}: {
  readonly suspend?: unknown
  readonly replicas?: unknown
}): boolean {
  return suspend !== true && replicas !== 0
}
