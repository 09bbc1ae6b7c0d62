/**
 * Manifests and indexes, read so that nobody can take one for the other (CVE-2021-41190): the shape, the document's own
 * `mediaType` and the type it was announced with must agree.
 */
import { ExpectedError, printable } from '../errors.ts'
import { parseDescriptor } from './descriptor.ts'
import { array, at, member, object, optionalString, stringMap, wrong } from './fields.ts'
import type { Fields, Place } from './fields.ts'
import { parseStrictJson } from './json.ts'
import * as types from './media-types.ts'
import type { Index, Manifest } from './types.ts'

export type ManifestOrIndex =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: Index }

const NAMES = [
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
]
export const MAP_KEYS: ReadonlySet<string> = new Set(['annotations', 'Labels', 'Volumes', 'ExposedPorts'])

/**
 * Reads a manifest or an index of either family. `expectedMediaType` is the Content-Type or the descriptor's type; types
 * that say nothing (absent, `application/json`, octet-stream, `text/plain`) let the document decide.
 * Throws InvalidManifest, UnsupportedMediaType, LimitExceeded or (for embedded `data`) DigestMismatch.
 */
export function parseManifestOrIndex(
  bytes: Uint8Array,
  expectedMediaType?: string,
  what = 'manifest',
): ManifestOrIndex {
  const place: Place = { reason: 'InvalidManifest', what, path: '' }
  const announced = announcedType(expectedMediaType, what)
  const fields = object(parseStrictJson(bytes, { ...place, mapKeys: MAP_KEYS }), place, NAMES)
  refuseSchema1(fields, what)
  if (member(fields, 'schemaVersion') !== 2) throw wrong(at(place, 'schemaVersion'), 'must be 2')
  const isIndex = shapeOf(fields, place)
  const mediaType = agreedType(fields, announced, isIndex, place)
  const annotations = stringMap(member(fields, 'annotations'), at(place, 'annotations'))
  if (isIndex) {
    return {
      kind: 'index',
      index: { mediaType, manifests: descriptors(fields, 'manifests', place), annotations },
    }
  }
  const config = parseDescriptor(member(fields, 'config'), at(place, 'config'))
  return {
    kind: 'manifest',
    manifest: { mediaType, config, layers: descriptors(fields, 'layers', place), annotations },
  }
}

/** Docker stops at 127; builders stay below it, and no file system takes many more. */
const MAX_LAYERS = 128

/**
 * Throws UnsupportedMediaType for artifacts (charts, signatures, policies) and for layers of an unknown form: they can
 * be resolved to a digest but not be run (rule M5). Throws LimitExceeded for more layers than any image has.
 */
export function checkRunnable(manifest: Manifest, what: string): void {
  if (!types.isImageConfigType(manifest.config.mediaType)) {
    throw new ExpectedError(
      'UnsupportedMediaType',
      `${what} is an artifact, not a container image: its config has type ${printable(manifest.config.mediaType)}`,
    )
  }
  if (manifest.layers.length > MAX_LAYERS) {
    throw new ExpectedError(
      'LimitExceeded',
      `${what} has ${manifest.layers.length} layers; must be at most ${MAX_LAYERS}`,
    )
  }
  for (const [index, layer] of manifest.layers.entries()) {
    if (types.isLayerType(layer.mediaType)) continue
    throw new ExpectedError(
      'UnsupportedMediaType',
      `${what}: layers[${index}] has type ${printable(layer.mediaType)}; must be a tar layer, plain or compressed with gzip or zstd`,
    )
  }
}

function descriptors(fields: Fields, name: string, place: Place) {
  // Go writes an empty list as null.
  const list = array(member(fields, name) ?? [], at(place, name))
  return list.map((item, index) => parseDescriptor(item, at(at(place, name), index)))
}

/** Whether it is an index. A document that is both, or neither, is refused (rule M3). */
function shapeOf(fields: Fields, place: Place): boolean {
  const isIndex = isPresent(fields, 'manifests')
  const isManifest = isPresent(fields, 'layers') || isPresent(fields, 'config')
  if (isIndex && isManifest)
    throw wrong(place, 'has both manifests and layers or config; it must be one or the other')
  if (!isIndex && !isManifest)
    throw wrong(place, 'has neither manifests nor layers; it is no manifest and no index')
  return isIndex
}

function isPresent(fields: Fields, name: string): boolean {
  return member(fields, name) !== undefined
}

/** The type without parameters; undefined where it says nothing. */
function announcedType(expected: string | undefined, what: string): string | undefined {
  const bare = types.bareMediaType(expected)
  if (['', 'application/json', 'application/octet-stream', 'text/plain'].includes(bare)) return undefined
  if (types.isSchema1(bare)) throw schema1(what)
  if (types.isIndexType(bare) || types.isManifestType(bare)) return bare
  throw new ExpectedError(
    'UnsupportedMediaType',
    `${what} has type ${printable(bare)}; must be an OCI or Docker schema 2 manifest or index`,
  )
}

function agreedType(fields: Fields, announced: string | undefined, isIndex: boolean, place: Place): string {
  const own = optionalString(member(fields, 'mediaType'), at(place, 'mediaType')) || undefined
  if (own !== undefined && announced !== undefined && own !== announced) {
    throw wrong(at(place, 'mediaType'), `is ${own}, but the document was announced as ${announced}`)
  }
  const type = own ?? announced ?? (isIndex ? types.OCI_INDEX : types.OCI_MANIFEST)
  if (isIndex ? types.isIndexType(type) : types.isManifestType(type)) return type
  if (types.isIndexType(type) || types.isManifestType(type)) {
    throw wrong(place, `has the type ${type} but the members of ${isIndex ? 'an index' : 'a manifest'}`)
  }
  throw new ExpectedError(
    'UnsupportedMediaType',
    `${place.what} has type ${printable(type)}; must be an OCI or Docker schema 2 manifest or index`,
  )
}

function refuseSchema1(fields: Fields, what: string): void {
  const mediaType = member(fields, 'mediaType')
  const isOldType = typeof mediaType === 'string' && types.isSchema1(mediaType)
  if (member(fields, 'schemaVersion') === 1 || isOldType) throw schema1(what)
}

function schema1(what: string): ExpectedError {
  return new ExpectedError(
    'UnsupportedMediaType',
    `${what} is a Docker schema 1 manifest, which has no verifiable layers; push the image again with a current tool`,
  )
}
