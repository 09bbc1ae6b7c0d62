/** `fairlead __complete`: names for shells. Says nothing when it can't: a completion must never disturb. */
import { readdir } from 'node:fs/promises'
import { readJson } from '../../engine/local/disk.ts'
import { appPaths } from '../../engine/local/paths.ts'
import { parseAppKey } from '../../reconcile/names.ts'
import type { RunCommand } from '../command-spec.ts'
import { stateDirOf, statePathsOf } from '../state-folder.ts'
import { join } from 'node:path'

export const complete: RunCommand = async (context, call) => {
  const [what, name] = call.args
  try {
    const words = await wordsOf(what, name)
    context.stdout.write(words.map((word) => `${word}\n`).join(''))
  } catch {
    // No state, or not readable by this user.
  }

  async function wordsOf(kind: string | undefined, app = ''): Promise<readonly string[]> {
    if (kind === 'volumes') return volumePaths(app)
    return kind === 'compared' ? comparedSides() : appNames()
  }

  /** What `diff` takes besides images and folders. */
  async function comparedSides(): Promise<readonly string[]> {
    const names = await appNames()
    const volumes = names.map(async (app) =>
      (await volumePaths(app)).map((path) => `volume://${app}:${path}`),
    )
    return [...names.map((app) => `app://${app}`), ...(await Promise.all(volumes)).flat()]
  }

  async function appNames(): Promise<readonly string[]> {
    const folders = await readdir(join(stateDirOf(context, call), 'apps'))
    const ids = folders
      .filter((folder) => !folder.startsWith('.') && folder.includes('_'))
      .map((folder) => folder.replace('_', '/'))
    return ids.map((id) => (id.startsWith('default/') ? id.slice('default/'.length) : id)).sort()
  }

  async function volumePaths(app: string): Promise<readonly string[]> {
    const key = parseAppKey(app)
    if (key === undefined) return []
    const status = (await readJson(appPaths(statePathsOf(context, call), key).status)) as
      | { readonly volumes?: readonly { readonly path: string }[] }
      | undefined
    return (status?.volumes ?? []).map(({ path }) => path).filter((path) => /^[\w./@%+:,-]+$/.test(path))
  }
}
