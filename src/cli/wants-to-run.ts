/** Whether an app would start containers at any moment. Pure; for apps whose files may be damaged. */
import { fieldsOf } from '../crd/view.ts'
import type { StoredApp } from '../reconcile/ports.ts'

export function wantsToRun(stored: StoredApp | undefined): boolean {
  if (stored === undefined) return false
  const { suspend, replicas } = fieldsOf(fieldsOf(stored.resource)['spec'])
  return suspend !== true && replicas !== 0
}
