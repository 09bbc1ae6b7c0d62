/** Secrets and ConfigMaps for `check` and `render`: those of the files, then those that the state already has. */
import { SourceStore, type SourceDocument, type SourceKind } from '../engine/local/source-store.ts'
import type { StatePaths } from '../engine/local/paths.ts'

export class InputSources extends SourceStore {
  readonly #documents: ReadonlyMap<string, SourceDocument>

  constructor(paths: StatePaths, documents: readonly SourceDocument[]) {
    super(paths)
    this.#documents = new Map(
      documents.map((document) => [idOf(document.kind, document.namespace, document.name), document]),
    )
  }

  override async read(
    kind: SourceKind,
    namespace: string,
    name: string,
  ): Promise<SourceDocument | undefined> {
    return this.#documents.get(idOf(kind, namespace, name)) ?? super.read(kind, namespace, name)
  }
}

function idOf(kind: SourceKind, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`
}
