/** The image that an app on this host runs or ran: by digest, from what is stored here where it still is. */
import { parseApp } from '../../crd/app.ts'
import type { App } from '../../crd/types.ts'
import { IssuesError } from '../../errors.ts'
import type { LayerSemantics } from '../../image/layer-semantics.ts'
import { hostPlatform, parsePlatform } from '../../image/platform.ts'
import type { ImageSource } from '../../image/source.ts'
import type { Digest, ResolvedImage } from '../../image/types.ts'
import { localSemantics } from '../../reconcile/layer-issues.ts'
import { appId } from '../../reconcile/names.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import type { LocalState } from './open.ts'

export interface OwnImage {
  readonly image: ResolvedImage
  readonly source: Pick<ImageSource, 'blob'>
  /** By which rules the layers of the app merge. */
  readonly semantics: LayerSemantics
}

/** Asks the image's source only for what is not here any more. Throws what the source throws. */
export async function withOwnImage<Result>(
  state: Pick<LocalState, 'images' | 'blobs' | 'openSource'>,
  stored: StoredApp,
  digest: Digest,
  signal: AbortSignal,
  use: (own: OwnImage) => Promise<Result>,
): Promise<Result> {
  const app = appWith(stored, digest)
  const source = await state.openSource(app, stored.baseDir)
  try {
    const image =
      (await state.images.recall(app, stored, digest)) ??
      (await source.resolve(platformOf(app), signal, digest))
    return await use({ image, source: storedFirst(state, source), semantics: localSemantics(app) })
  } finally {
    await source.close()
  }
}

/** The app with the reference that the digest was resolved from: the resource may name another image meanwhile. */
function appWith(stored: StoredApp, digest: Digest): App {
  const parsed = parseApp(stored.resource, appId(stored.key))
  if ('issues' in parsed) throw new IssuesError(parsed.issues)
  const { app } = parsed
  const { image } = stored.status ?? {}
  const known = image?.digest === digest ? image : image?.history?.find((entry) => entry.digest === digest)
  return known === undefined ? app : { ...app, spec: { ...app.spec, image: known.reference } }
}

function platformOf(app: App) {
  const text = app.spec.imagePolicy?.platform
  return text === undefined ? hostPlatform(process.arch) : parsePlatform(text)
}

function storedFirst({ blobs }: Pick<LocalState, 'blobs'>, source: ImageSource): Pick<ImageSource, 'blob'> {
  return {
    async *blob(descriptor, signal) {
      if (await blobs.has(descriptor.digest)) yield* blobs.open(descriptor.digest, descriptor.size)
      else yield* source.blob(descriptor, signal)
    },
  }
}
