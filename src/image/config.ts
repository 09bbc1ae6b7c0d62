/** The image config (image-spec config.md), read as written: nothing is corrected here that others would see. */
import {
  array,
  at,
  keys,
  member,
  object,
  optionalString,
  string,
  stringMap,
  strings,
  wrong,
} from './fields.ts'
import type { Fields, Place } from './fields.ts'
import { readDigest } from './descriptor.ts'
import { parseStrictJson } from './json.ts'
import { MAP_KEYS } from './manifest.ts'
import type { Digest, ImageConfig, Platform } from './types.ts'

const NAMES = [
  'created',
  'author',
  'architecture',
  'os',
  'os.version',
  'os.features',
  'variant',
  'config',
  'rootfs',
  'history',
]
const PROCESS_NAMES = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
]

/** Parses an image config. Throws InvalidConfig with the member's path, or LimitExceeded. */
export function parseImageConfig(bytes: Uint8Array, what = 'image config'): ImageConfig {
  const place: Place = { reason: 'InvalidConfig', what, path: '' }
  const fields = object(parseStrictJson(bytes, { ...place, mapKeys: MAP_KEYS }), place, NAMES)
  return {
    platform: readPlatform(fields, place),
    created: text(fields, 'created', place),
    author: text(fields, 'author', place),
    ...readProcess(member(fields, 'config') ?? {}, at(place, 'config')),
    diffIds: readDiffIds(member(fields, 'rootfs'), at(place, 'rootfs')),
  }
}

function readProcess(
  value: unknown,
  place: Place,
): Omit<ImageConfig, 'platform' | 'created' | 'author' | 'diffIds'> {
  const fields = object(value, place, PROCESS_NAMES)
  const list = (name: string) => strings(member(fields, name), at(place, name))
  return {
    user: text(fields, 'User', place) ?? '',
    env: list('Env'),
    entrypoint: list('Entrypoint'),
    cmd: list('Cmd'),
    workingDir: text(fields, 'WorkingDir', place) ?? '',
    volumes: keys(member(fields, 'Volumes'), at(place, 'Volumes')),
    exposedPorts: keys(member(fields, 'ExposedPorts'), at(place, 'ExposedPorts')),
    labels: stringMap(member(fields, 'Labels'), at(place, 'Labels')),
    stopSignal: text(fields, 'StopSignal', place),
  }
}

function readPlatform(fields: Fields, place: Place): Platform {
  const variant = text(fields, 'variant', place)
  const osVersion = text(fields, 'os.version', place)
  return {
    os: string(member(fields, 'os'), at(place, 'os')),
    architecture: string(member(fields, 'architecture'), at(place, 'architecture')),
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  }
}

function readDiffIds(value: unknown, place: Place): readonly Digest[] {
  const fields = object(value, place, ['type', 'diff_ids'])
  if (member(fields, 'type') !== 'layers') throw wrong(at(place, 'type'), 'must be "layers"')
  const list = member(fields, 'diff_ids')
  const inside = at(place, 'diff_ids')
  // Go writes an image without layers as null.
  if (list === undefined || list === null) return []
  return array(list, inside).map((item, index) => readDigest(item, at(inside, index)))
}

/** Empty text and absent text mean the same here. */
function text(fields: Fields, name: string, place: Place): string | undefined {
  return optionalString(member(fields, name), at(place, name)) || undefined
}
