/** Descriptors (image-spec descriptor.md): what points to every other piece of content. */
import { digestProblem, isDigest, verifyBytes } from './digest.ts'
import { at, member, object, optionalString, string, stringMap, wrong } from './fields.ts'
import type { Place } from './fields.ts'
import type { Descriptor, Digest, Platform } from './types.ts'

const NAMES = ['mediaType', 'digest', 'size', 'urls', 'annotations', 'data', 'artifactType', 'platform']
const PLATFORM_NAMES = ['os', 'architecture', 'variant', 'os.version', 'os.features']

/** Throws with the place's reason. `urls` are never read: content comes from the same source or not at all (M13). */
export function parseDescriptor(value: unknown, place: Place): Descriptor {
  const fields = object(value, place, NAMES)
  const mediaType = string(member(fields, 'mediaType'), at(place, 'mediaType'))
  const digest = readDigest(member(fields, 'digest'), at(place, 'digest'))
  const size = readSize(member(fields, 'size'), at(place, 'size'))
  const platform = readPlatform(member(fields, 'platform'), at(place, 'platform'))
  const annotations = member(fields, 'annotations')
  const data = readData(member(fields, 'data'), digest, size, at(place, 'data'))
  const artifactType = optionalString(member(fields, 'artifactType'), at(place, 'artifactType'))
  return {
    mediaType,
    digest,
    size,
    ...(platform === undefined ? {} : { platform }),
    ...(annotations === undefined ? {} : { annotations: stringMap(annotations, at(place, 'annotations')) }),
    ...(data === undefined ? {} : { data }),
    ...(artifactType === undefined ? {} : { artifactType }),
  }
}

export function readDigest(value: unknown, place: Place): Digest {
  const text = string(value, place)
  if (isDigest(text)) return text
  throw wrong(place, `is not a digest: ${digestProblem(text)}`)
}

function readSize(value: unknown, place: Place): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw wrong(place, 'must be a number of bytes, 0 or more')
}

function readPlatform(value: unknown, place: Place): Platform | undefined {
  if (value === undefined || value === null) return undefined
  const fields = object(value, place, PLATFORM_NAMES)
  const os = optionalString(member(fields, 'os'), at(place, 'os')) ?? ''
  const architecture = optionalString(member(fields, 'architecture'), at(place, 'architecture')) ?? ''
  // Some tools write an empty object: it says as little as none.
  if (os === '' && architecture === '') return undefined
  const variant = optionalString(member(fields, 'variant'), at(place, 'variant')) || undefined
  const osVersion = optionalString(member(fields, 'os.version'), at(place, 'os.version')) || undefined
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  }
}

/** Embedded content is used only when it is what the descriptor promises (rule M12). */
function readData(value: unknown, digest: Digest, size: number, place: Place): Buffer | undefined {
  const text = optionalString(value, place)
  if (text === undefined) return undefined
  const data = Buffer.from(text, 'base64')
  if (data.toString('base64') !== text) throw wrong(place, 'must be base64 with padding')
  verifyBytes(data, digest, size, `${place.what}: ${place.path}`)
  return data
}
