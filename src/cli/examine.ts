/**
 * An app and its image together, as the controller would see them, without changing anything: the image is read once,
 * what the checks need is kept in a private folder, and nothing is left at the end.
 */
import { LocalAppStore } from '../engine/local/app-store.ts'
import { readConfig } from '../engine/local/config.ts'
import { LocalEngine } from '../engine/local/engine.ts'
import { hostFacts } from '../engine/local/host.ts'
import { appKeychain } from '../engine/local/keychain.ts'
import type { StatePaths } from '../engine/local/paths.ts'
import { VolumeStore } from '../engine/local/volume-store.ts'
import { IssuesError, type Issue, refuseErrors } from '../errors.ts'
import { parseReference } from '../image/reference.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import { desiredState } from '../reconcile/desired.ts'
import { localLayerIssues, localSemantics } from '../reconcile/layer-issues.ts'
import { localSupportIssues } from '../reconcile/local-support.ts'
import type { Sources } from '../reconcile/ports.ts'
import type { Desired } from '../reconcile/types.ts'
import { openSource } from '../registry/open.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { CliContext } from './context.ts'
import { openSourceOptions } from './image-source.ts'
import type { InputApp } from './input-documents.ts'
import type { InputSources } from './input-sources.ts'
import { withReadImage } from './read-image.ts'
import { withTagHint } from './repository-questions.ts'

export interface ExamineInput {
  readonly context: CliContext
  readonly document: InputApp
  readonly sources: InputSources
  /** Where volumes that exist already are looked at. */
  readonly paths: StatePaths
}

export interface Examined {
  readonly image: ResolvedImage
  readonly tree: FileTree
  readonly desired: Desired
  /** The Secrets and ConfigMaps that the app names. */
  readonly sources: Sources
  readonly warnings: readonly Issue[]
}

/** Calls `use` while the tree can be read. Throws IssuesError with everything that would be refused. */
export async function withExaminedApp<T>(
  input: ExamineInput,
  use: (examined: Examined) => Promise<T>,
): Promise<T> {
  const { context, document } = input
  const { app } = document
  const config = readConfig()
  const support = refuseErrors(localSupportIssues(app))
  const keychain = await appKeychain(app, input.sources)
  const reference = parseReference(app.spec.image)
  const options = openSourceOptions(context, document.baseDir, config, keychain)
  const source = openSource(reference, options)
  const { limits } = config
  const semantics = localSemantics(app)
  const read = () =>
    withReadImage(
      { context, document, source, limits, pin: pinOf(document), merging: { semantics } },
      async ({ image, tree, divergence }) => {
        const { warnings, ...judgement } = await judged(input, image, tree)
        const layers = localLayerIssues(semantics, divergence)
        return use({ image, tree, ...judgement, warnings: [...support, ...layers, ...warnings] })
      },
    )
  return withTagHint(context, reference, read, () => Promise.resolve(options))
}

/** The digest of the document's own status, as long as it belongs to the reference that the spec has now. */
export function pinOf({ app }: InputApp): Digest | undefined {
  const image = app.status?.image
  return image?.reference === app.spec.image ? image.digest : undefined
}

async function judged(input: ExamineInput, image: ResolvedImage, tree: FileTree) {
  const { app } = input.document
  const engine = engineOf(input)
  const key = { namespace: app.metadata.namespace, name: app.metadata.name }
  const sources = await engine.sources(app)
  const result = desiredState({ key, app, image, tree, sources })
  if ('issues' in result) throw new IssuesError(result.issues)
  const checked = refuseErrors(
    await engine.check(result.desired, { image, tree, rootfsDir: '', warnings: [] }),
  )
  return { desired: result.desired, sources, warnings: [...result.desired.warnings, ...checked] }
}

function engineOf({ paths, sources }: ExamineInput): LocalEngine {
  const config = readConfig()
  return new LocalEngine({
    paths,
    host: hostFacts(),
    runtime: config.runtime,
    hostHooks: config.hostHooks,
    apps: new LocalAppStore(paths),
    sources,
    volumes: new VolumeStore(paths),
  })
}
