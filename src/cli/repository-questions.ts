/** Questions about a repository rather than an image: its tags, what refers to a digest, which tag was meant. */
import { operatorKeychain } from '../engine/local/keychain.ts'
import { readConfig } from '../engine/local/config.ts'
import { ExpectedError } from '../errors.ts'
import { canonical } from '../image/reference.ts'
import type { Digest, Reference, RegistryReference } from '../image/types.ts'
import { registryOptions } from '../registry/registry-options.ts'
import type { RegistrySourceOptions } from '../registry/registry-source.ts'
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

/** What `work` throws; where a tag is unknown, with the tags that look like it, for one more request. */
export async function withTagHint<T>(
  context: CliContext,
  reference: Reference,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.reason !== 'ImageNotFound') throw error
    const similar = context.stderr.isTerminal ? await similarTo(context, reference) : []
    if (similar.length === 0) throw error
    const message = `${error.message}; tags that look like it: ${similar.join(', ')}`
    throw new ExpectedError('ImageNotFound', message, { retry: error.retry, cause: error })
  }
}

/** A hint must not become a second failure. */
async function similarTo(context: CliContext, reference: Reference): Promise<readonly string[]> {
  if (reference.kind !== 'registry' || reference.tag === undefined || reference.digest !== undefined)
    return []
  const known = await tagsOf(context, reference, { maxPages: 1 }).catch(() => undefined)
  return similarTags(reference.tag, known?.tags ?? [])
}

async function withRegistry<T>(
  context: CliContext,
  ask: (options: RegistrySourceOptions) => Promise<T>,
): Promise<T> {
  const options = registryOptions(
    openSourceOptions(context, context.cwd, readConfig(), await operatorKeychain()),
  )
  try {
    return await ask(options)
  } finally {
    options.session.close()
  }
}
