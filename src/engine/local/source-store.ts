/** Submitted Secrets and ConfigMaps, 0600 below a 0700 folder. Values never leave through errors or logs. */
import { rm } from 'node:fs/promises'
import type { Sources } from '../../reconcile/ports.ts'
import { ensureFolder, readJson, writeJson } from './disk.ts'
import { sourcePath, type StatePaths } from './paths.ts'

export type SourceKind = 'Secret' | 'ConfigMap'

export interface SourceDocument {
  readonly kind: SourceKind
  readonly namespace: string
  readonly name: string
  /** Secret type, e.g. `kubernetes.io/dockerconfigjson`; empty for ConfigMaps. */
  readonly type: string
  /** Values in base64. */
  readonly data: Readonly<Record<string, string>>
}

export class SourceStore {
  readonly #paths: StatePaths

  constructor(paths: StatePaths) {
    this.#paths = paths
  }

  async submit(documents: readonly SourceDocument[]): Promise<void> {
    if (documents.length > 0) await ensureFolder(this.#paths.sources)
    for (const document of documents) {
      await writeJson(sourcePath(this.#paths, document.kind, document.namespace, document.name), document)
    }
  }

  async read(kind: SourceKind, namespace: string, name: string): Promise<SourceDocument | undefined> {
    return (await readJson(sourcePath(this.#paths, kind, namespace, name))) as SourceDocument | undefined
  }

  async remove(kind: SourceKind, namespace: string, name: string): Promise<void> {
    await rm(sourcePath(this.#paths, kind, namespace, name), { force: true })
  }

  /** The namespace's documents that an app names, read up front because the middle is pure. */
  async forApp(
    namespace: string,
    names: { readonly secrets: readonly string[]; readonly configMaps: readonly string[] },
  ): Promise<Sources> {
    const secrets = await this.#values('Secret', namespace, names.secrets)
    const configMaps = await this.#values('ConfigMap', namespace, names.configMaps)
    return { secret: (name) => secrets.get(name), configMap: (name) => configMaps.get(name) }
  }

  async #values(kind: SourceKind, namespace: string, names: readonly string[]) {
    const found = new Map<string, Readonly<Record<string, Buffer>>>()
    for (const name of names) {
      const document = await this.read(kind, namespace, name)
      if (document !== undefined) found.set(name, decode(document.data))
    }
    return found
  }
}

function decode(data: Readonly<Record<string, string>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]))
}
