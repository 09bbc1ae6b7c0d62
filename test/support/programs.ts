/** Programs that a test needs: without one, the test is skipped by name on a developer's machine and fails under CI. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

/** Whether to skip a test that needs `program`. Under CI never: there it runs, and fails for want of the program. */
export function isMissing(program: string): boolean {
  if (process.env['CI'] !== undefined) return false
  return !(process.env['PATH'] ?? '').split(':').some((dir) => isExecutable(join(dir, program)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
