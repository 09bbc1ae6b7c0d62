/** An app that must be there, for commands that act on it. */
import { appNotFound, type LocalAppStore } from '../engine/local/app-store.ts'
import type { AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'

/** The stored app, or NotFound. */
export async function requireApp(apps: LocalAppStore, key: AppKey): Promise<StoredApp> {
  const stored = await apps.read(key)
  if (stored === undefined) throw appNotFound(key)
  return stored
}
