/** Questions about a repository rather than an image: its tags, what refers to a digest, which tag was meant. */
import { operatorKeychain } from '../engine/local/keychain.ts'
import { readConfig } from '../engine/local/config.ts'
import { ExpectedError } from '../errors.ts'
import { canonical } from '../image/reference.ts'
import type { Digest, Reference, RegistryReference } from '../image/types.ts'
import { registryOptions } from '../registry/registry-options.ts'
import type { RegistrySourceOptions } from '../registry/registry-source.ts'
import type { SourceOptions } from '../registry/open.ts'
import { listReferrers, type ReferrerList } from '../registry/referrers.ts'
import { listTags, type TagList, type TagListOptions } from '../registry/tags.ts'
import type { CliContext } from './context.ts'
import { openSourceOptions } from './image-source.ts'
import { similarTags } from './similar-tags.ts'

/** A layout has no repository around it. Throws InvalidReference. */
export function requireRegistry(reference: Reference): RegistryReference {
  if (reference.kind === 'registry') return reference
  throw new ExpectedError(
    'InvalidReference',
    `${canonical(reference)} is a layout; only registries list tags and referrers`,
  )
}

export function tagsOf(
  context: CliContext,
  reference: RegistryReference,
  limits: TagListOptions = {},
): Promise<TagList> {
  return withRegistry(context, (options) => listTags(reference, options, limits, context.signal))
}

export function referrersOf(
  context: CliContext,
  reference: RegistryReference,
  subject: Digest,
  artifactType: string | undefined,
): Promise<ReferrerList> {
  const filter = artifactType === undefined ? {} : { artifactType }
  return withRegistry(context, (options) =>
    listReferrers(reference, subject, options, filter, context.signal),
  )
}

/**
 * What `work` throws; where a tag is unknown, with the tags that look like it, for one more request. `options` are those
 * that the image was looked for with; the command line's own by default.
 */
export async function withTagHint<T>(
  context: CliContext,
  reference: Reference,
  work: () => Promise<T>,
  options: () => Promise<SourceOptions> = () => ownOptions(context),
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.reason !== 'ImageNotFound') throw error
    const similar = await similarTo(context, reference, options)
    if (similar.length === 0) throw error
    const message = `${error.message}; tags that look like it: ${similar.join(', ')}`
    throw new ExpectedError('ImageNotFound', message, { retry: error.retry, cause: error })
  }
}

/** A hint must not become a second failure. */
async function similarTo(
  context: CliContext,
  reference: Reference,
  options: () => Promise<SourceOptions>,
): Promise<readonly string[]> {
  if (reference.kind !== 'registry' || reference.tag === undefined || reference.digest !== undefined)
    return []
  try {
    const { tags } = await asking(await options(), (registry) =>
      listTags(reference, registry, { maxPages: 1 }, context.signal),
    )
    // The tag is there: something else of the image is missing.
    return tags.includes(reference.tag) ? [] : similarTags(reference.tag, tags)
  } catch {
    return []
  }
}

async function withRegistry<T>(
  context: CliContext,
  ask: (options: RegistrySourceOptions) => Promise<T>,
): Promise<T> {
  return asking(await ownOptions(context), ask)
}

async function ownOptions(context: CliContext): Promise<SourceOptions> {
  return openSourceOptions(context, context.cwd, readConfig(), await operatorKeychain())
}

async function asking<T>(
  given: SourceOptions,
  ask: (options: RegistrySourceOptions) => Promise<T>,
): Promise<T> {
  const options = registryOptions(given)
  try {
    return await ask(options)
  } finally {
    if (options.ownsSession) options.session.close()
  }
}
