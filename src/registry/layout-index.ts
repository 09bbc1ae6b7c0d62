/** Which entry of a layout's index.json a reference means (rules L4 and L5). Pure. */
import { ExpectedError, printable } from '../errors.ts'
import { isIndexType, isManifestType } from '../image/media-types.ts'
import { formatPlatform, isRunnable } from '../image/platform.ts'
import { parseReference } from '../image/reference.ts'
import type { Descriptor, Index } from '../image/types.ts'

const REF_NAME = 'org.opencontainers.image.ref.name'
/** What BuildKit and containerd write beside it: the full name. */
const CONTAINERD_NAME = 'io.containerd.image.name'

/**
 * The entry for a tag or full name, in the order: exact ref.name, exact full name, full name with that tag. Without a
 * name only a single entry will do; an unknown name never falls back on another image.
 * Throws ImageNotFound, LayoutInvalid (one name, two images) or InvalidReference (several images, no name).
 */
export function selectEntry(index: Index, name: string | undefined, where: string): Descriptor {
  const entries = index.manifests.filter(isImage)
  return name === undefined ? singleEntry(entries, where) : namedEntry(entries, name, where)
}

function isImage(descriptor: Descriptor): boolean {
  return isRunnable(descriptor) && (isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType))
}

function namedEntry(entries: readonly Descriptor[], name: string, where: string): Descriptor {
  const ways: readonly ((entry: Descriptor) => boolean)[] = [
    (entry) => annotation(entry, REF_NAME) === name,
    (entry) => annotation(entry, CONTAINERD_NAME) === name,
    (entry) => fullNames(entry).some((full) => tagOfFullName(full) === name),
  ]
  for (const way of ways) {
    const found = entries.filter(way)
    if (found[0] !== undefined) return unambiguous(found, found[0], name, where)
  }
  const names = [...new Set(entries.flatMap(fullNames))].sort().map((found) => printable(found, 100))
  const choice = names.length === 0 ? 'its images have no names' : `it has ${names.slice(0, 20).join(', ')}`
  throw new ExpectedError(
    'ImageNotFound',
    `${printable(where)} has no image named ${printable(name)}; ${choice}`,
    {
      retry: 'backoff',
    },
  )
}

function unambiguous(
  found: readonly Descriptor[],
  first: Descriptor,
  name: string,
  where: string,
): Descriptor {
  const digests = [...new Set(found.map((entry) => entry.digest))]
  if (digests.length === 1) return first
  throw new ExpectedError(
    'LayoutInvalid',
    `${printable(where)} has ${digests.length} images named ${printable(name)}: ${digests.slice(0, 10).join(', ')}; add @DIGEST to choose one`,
  )
}

function singleEntry(entries: readonly Descriptor[], where: string): Descriptor {
  const [first] = entries
  if (first === undefined) {
    throw new ExpectedError('ImageNotFound', `${printable(where)} has no image in its index.json`, {
      retry: 'backoff',
    })
  }
  if (new Set(entries.map((entry) => entry.digest)).size === 1) return first
  const shown = entries.slice(0, 20).map(describe).join(', ')
  throw new ExpectedError(
    'InvalidReference',
    `${printable(where)} has ${entries.length} images; add a tag or a digest to choose one of ${shown}`,
  )
}

function describe(entry: Descriptor): string {
  const name = fullNames(entry)[0]
  if (name !== undefined) return printable(name, 100)
  return entry.platform === undefined ? entry.digest : `${entry.digest} (${formatPlatform(entry.platform)})`
}

function fullNames(entry: Descriptor): readonly string[] {
  return [annotation(entry, REF_NAME), annotation(entry, CONTAINERD_NAME)].filter(
    (name) => name !== undefined,
  )
}

/** The tag of a full name; a bare tag is no full name. */
function tagOfFullName(name: string): string | undefined {
  if (!/[/:]/.test(name)) return undefined
  try {
    const reference = parseReference(name)
    return reference.kind === 'registry' ? reference.tag : undefined
  } catch {
    return undefined
  }
}

function annotation(entry: Descriptor, key: string): string | undefined {
  const value =
    entry.annotations !== undefined && Object.hasOwn(entry.annotations, key)
      ? entry.annotations[key]
      : undefined
  return value === '' ? undefined : value
}
