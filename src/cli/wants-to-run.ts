/** Whether an app would start containers at any moment. Pure; for apps whose files may be damaged. */
import { fieldsOf } from '../crd/view.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import { wantsToRun } from '../reconcile/wants-to-run.ts'

export function storedWantsToRun(stored: StoredApp | undefined): boolean {
  return stored !== undefined && wantsToRun(fieldsOf(fieldsOf(stored.resource)['spec']))
}
