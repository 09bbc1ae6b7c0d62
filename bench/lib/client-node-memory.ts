/** What client-node's own informers take for the same objects, in a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import path from 'node:path'
import { APP_LABEL } from '../../src/crd/labels.ts'
import { collectionPath } from '../../src/engine/kubernetes/api/paths.ts'
import { CHILD_TYPES, CONTAINER_APPS } from '../../src/engine/kubernetes/resources.ts'
import type { ControlPlane } from '../../test/cluster/bed/control-plane.ts'
import { imageSettings } from './image-settings.ts'
import { memoryOver, type MemoryUse } from './memory-use.ts'

/** Below node_modules, so that the package is found. */
const FOLDER = path.join(import.meta.dirname, '../../node_modules/.cache/fairlead-bench')
const SYNC_MS = 300_000

/** Of so many `objects`; fails when they don't get there. */
export async function clientNodeMemory(
  plane: ControlPlane,
  objects: number,
  seconds: number,
): Promise<MemoryUse> {
  const { nodeFlags, env } = imageSettings()
  const collections = [
    collectionPath(CONTAINER_APPS, undefined),
    ...Object.values(CHILD_TYPES).map(
      (type) => `${collectionPath(type, undefined)}?labelSelector=${encodeURIComponent(APP_LABEL)}`,
    ),
  ]
  const child = fork(watcher(), [plane.adminKubeconfig, String(objects), ...collections], {
    execArgv: [...nodeFlags],
    env: { ...process.env, ...env },
  })
  try {
    await once(child, 'message', { signal: AbortSignal.timeout(SYNC_MS) })
    return await memoryOver(child.pid ?? 0, seconds)
  } finally {
    child.kill()
  }
}

/** As JavaScript: what takes the types out would be measured as well. */
function watcher(): string {
  const source = readFileSync(path.join(import.meta.dirname, 'client-node-watcher.ts'), 'utf8')
  mkdirSync(FOLDER, { recursive: true })
  const file = path.join(FOLDER, 'client-node-watcher.mjs')
  writeFileSync(file, stripTypeScriptTypes(source))
  return file
}
