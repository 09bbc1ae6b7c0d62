/**
 * `down -f FILE` also forgets the Secrets and ConfigMaps of the file, as `kubectl delete -f` does: what nobody uses any
 * more should not lie on a disk. One that another app names stays.
 */
import { parseApp } from '../crd/app.ts'
import { LocalAppStore } from '../engine/local/app-store.ts'
import type { StatePaths } from '../engine/local/paths.ts'
import { SourceStore, type SourceKind } from '../engine/local/source-store.ts'
import { appId } from '../reconcile/names.ts'
import { namedSources } from '../reconcile/revision.ts'

export interface NamedSource {
  readonly kind: SourceKind
  readonly namespace: string
  readonly name: string
}

/** Removes what no app names any more; returns what stays because one does. */
export async function forgetSources(
  paths: StatePaths,
  sources: readonly NamedSource[],
): Promise<readonly NamedSource[]> {
  const used = await usedSources(new LocalAppStore(paths))
  const store = new SourceStore(paths)
  const kept = sources.filter((source) => used.has(idOf(source)))
  for (const source of sources) {
    if (!kept.includes(source)) await store.remove(source.kind, source.namespace, source.name)
  }
  return kept
}

/** Of every app that is left. A resource that can't be read any more keeps all of its namespace's. */
async function usedSources(apps: LocalAppStore): Promise<{ has(id: string): boolean }> {
  const used = new Set<string>()
  const unreadable = new Set<string>()
  for (const key of await apps.list()) {
    const stored = await apps.read(key).catch(() => undefined)
    const parsed = stored === undefined ? undefined : parseApp(stored.resource, appId(key))
    if (parsed === undefined || 'issues' in parsed) {
      unreadable.add(key.namespace)
      continue
    }
    const { namespace } = key
    for (const { kind, name } of namedSources(parsed.app)) used.add(idOf({ kind, namespace, name }))
    for (const { name } of parsed.app.spec.pullSecrets ?? [])
      used.add(idOf({ kind: 'Secret', namespace, name }))
  }
  return { has: (id) => used.has(id) || unreadable.has(id.split('/')[1] ?? '') }
}

function idOf({ kind, namespace, name }: NamedSource): string {
  return `${kind}/${namespace}/${name}`
}
