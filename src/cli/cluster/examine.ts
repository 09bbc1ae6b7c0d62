/**
 * An app and its image as the controller of a cluster would see them, without a cluster: resolved and read here, with
 * the credentials of the files and of this user.
 */
import { checkCluster } from '../../engine/kubernetes/images/check-cluster.ts'
import { openPlace, pullableReference } from '../../engine/kubernetes/images/image-places.ts'
import { DEFERRED_SOURCES } from '../../engine/kubernetes/deferred-sources.ts'
import { readConfig } from '../../engine/local/config.ts'
import { operatorKeychain } from '../../engine/local/keychain.ts'
import { ExpectedError, IssuesError, refuseErrors, type Issue } from '../../errors.ts'
import type { SecretDoc } from '../../crd/config-objects.ts'
import type { App } from '../../crd/types.ts'
import type { ImageSource } from '../../image/source.ts'
import type { Digest, ResolvedImage } from '../../image/types.ts'
import { desiredState } from '../../reconcile/desired.ts'
import { imageRequest } from '../../reconcile/image-request.ts'
import { renderCluster } from '../../reconcile/kubernetes/render.ts'
import { clusterRevisionBasis } from '../../reconcile/kubernetes/revision-basis.ts'
import { clusterLayerIssues } from '../../reconcile/layer-issues.ts'
import { clusterSupportIssues } from '../../reconcile/kubernetes/support.ts'
import type { ObservedClaim, RenderedCluster } from '../../reconcile/kubernetes/types.ts'
import type { Desired } from '../../reconcile/types.ts'
import { pullSecretKeychain } from '../../registry/docker-config.ts'
import { combineKeychains } from '../../registry/keychain.ts'
import type { SourceOptions } from '../../registry/open.ts'
import type { Keychain } from '../../registry/types.ts'
import type { CliContext } from '../context.ts'
import type { InputApp } from '../input-documents.ts'
import { writeSentences } from '../output.ts'
import { packageVersion } from '../package-version.ts'
import { platformOf, withReadImage, type ReadImage } from '../read-image.ts'
import { withTagHint } from '../repository-questions.ts'
import type { RenderSettings } from './render-options.ts'

export interface ClusterExamineInput {
  readonly context: CliContext
  readonly document: InputApp
  /** Those of the files: pull secrets are among them. */
  readonly secrets: readonly SecretDoc[]
  readonly settings: RenderSettings
  /** Claims that are there already; empty for a first apply. */
  readonly claims: readonly ObservedClaim[]
}

export interface ClusterExamined {
  readonly image: ResolvedImage
  readonly desired: Desired
  readonly rendered: RenderedCluster
  readonly warnings: readonly Issue[]
}

/** Throws IssuesError with everything that would be refused, ExpectedError where the image can't be read. */
export async function examineForCluster(input: ClusterExamineInput): Promise<ClusterExamined> {
  const { context, document } = input
  const { app } = document
  const { limits } = readConfig()
  const source = await openImage(input, app.spec.image)
  const read = () =>
    withReadImage(
      {
        context,
        document,
        source,
        limits,
        pin: pinOf(app, context.now()),
        merging: { semantics: 'overlayfs', fallsBack: true },
      },
      (image) => Promise.resolve(judged(input, image)),
    )
  try {
    return await withTagHint(context, pullableReference(app.spec.image), read, () => sourceOptions(input))
  } catch (error) {
    throw askedFromHere(error)
  }
}

/** Manifest and config of a digest that the app had, by the reference that it was resolved from. */
export async function readDocuments(
  input: Omit<ClusterExamineInput, 'claims'>,
  reference: string,
  digest: Digest,
): Promise<ResolvedImage> {
  const { context, document } = input
  const source = await openImage(input, reference)
  try {
    return await source.resolve(platformOf(document.app), context.signal, digest)
  } finally {
    await source.close()
  }
}

async function openImage(
  input: Omit<ClusterExamineInput, 'claims'>,
  reference: string,
): Promise<ImageSource> {
  const { layouts } = input.settings
  return openPlace(pullableReference(reference), { layouts }, await sourceOptions(input))
}

async function sourceOptions({
  context,
  document,
  settings,
  secrets,
}: Omit<ClusterExamineInput, 'claims'>): Promise<SourceOptions> {
  const { registries = readConfig().registries } = settings
  return {
    baseDir: document.baseDir,
    registries,
    keychain: await keychainOf(document.app, secrets),
    userAgent: `fairlead/${packageVersion()}`,
    onWarning: (text) => writeSentences(context, [text]),
  }
}

/** The cluster may well reach a registry that this machine does not, and the other way round. */
function askedFromHere(error: unknown): unknown {
  if (!(error instanceof ExpectedError) || error.reason !== 'RegistryUnavailable') return error
  const { reason, message, retry } = error
  const hint =
    'asked from this machine; --registries-config names mirrors and layouts as the controller has them'
  return new ExpectedError(reason, `${message} (${hint})`, { retry, cause: error })
}

/** The digest that the controller would go on with; undefined: it would resolve the reference. */
function pinOf(app: App, nowMs: number) {
  const request = imageRequest(app, app.status, nowMs, undefined)
  return request.kind === 'resolve' ? undefined : request.digest
}

/** Pull secrets that the files have; the others are in the cluster. Then what `docker login` left for this user. */
async function keychainOf(app: App, secrets: readonly SecretDoc[]): Promise<Keychain> {
  const { namespace } = app.metadata
  const wanted = new Set((app.spec.pullSecrets ?? []).map(({ name }) => name))
  const found = secrets
    .filter(({ metadata }) => metadata.namespace === namespace && wanted.has(metadata.name))
    .map(({ metadata, type, data }) => ({
      name: metadata.name,
      type,
      data: Object.fromEntries(
        Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
      ),
    }))
  return combineKeychains(pullSecretKeychain(found), await operatorKeychain())
}

/** The steps of the controller's own pass, in its order. */
function judged(
  { document, settings, claims }: ClusterExamineInput,
  { image, tree, divergence }: ReadImage,
): ClusterExamined {
  const { app } = document
  const key = { namespace: app.metadata.namespace, name: app.metadata.name }
  const support = clusterSupportIssues(app)
  const revision = clusterRevisionBasis(app, image)
  const result = desiredState({ key, app, image, tree, sources: DEFERRED_SOURCES, revision })
  if ('issues' in result) throw new IssuesError([...support, ...result.issues])
  const { desired } = result
  const checked = checkCluster(
    desired,
    { platforms: [{ image, tree, checked: true }] },
    { isPrepared: ({ path }) => claims.some(({ seeded }) => Object.hasOwn(seeded, path)) },
  )
  const layers = clusterLayerIssues(app, divergence)
  const found = refuseErrors([...support, ...layers, ...desired.warnings, ...checked])
  const modes = Object.fromEntries(claims.map(({ name, accessModes }) => [name, accessModes]))
  const rendered = renderCluster(desired, settings.options, modes)
  return { image, desired, rendered, warnings: [...found, ...rendered.warnings] }
}
