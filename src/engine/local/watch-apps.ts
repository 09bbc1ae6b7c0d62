/** Wakes a controller when something was submitted. */
import { watch } from 'node:fs'
import { basename } from 'node:path'
import type { StatePaths } from './paths.ts'

/** Calls back after every submission; events that come together are one call. */
export function watchApps(paths: StatePaths, onChange: () => void): () => void {
  let scheduled = false
  const watcher = watch(paths.apps, (_event, name) => {
    if (name !== basename(paths.trigger) || scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      onChange()
    })
  })
  return () => watcher.close()
}
