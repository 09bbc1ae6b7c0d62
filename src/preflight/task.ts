/**
 * Reads the task strictly: a pod may outlive the controller that made it, so a task that is not exactly ours is refused
 * instead of guessed at. By hand, because the program carries no packages.
 */
import { printable } from '../errors.ts'
import type { PreflightTask, PreflightVolume } from '../reconcile/kubernetes/preflight-task.ts'

type Fields = Readonly<Record<string, unknown>>

const TASK_FIELDS = ['version', 'sourceRoot', 'volumes', 'restricted']
const VOLUME_FIELDS = [
  'path',
  'destination',
  'mount',
  'subPath',
  'action',
  'inImage',
  'uid',
  'gid',
  'nested',
  'exec',
]
const ACTIONS = ['Copy', 'Own', 'Check'] as const
const EXEC_WISHES = ['Required', 'Any', 'Forbidden'] as const
/** The kernel takes the highest number as "leave it as it is". */
const MAX_ID = 0xffff_fffe

/** Throws an Error that says what is wrong with the JSON `text`: the controller that wrote it is another version. */
export function parseTask(text: string | undefined): PreflightTask {
  if (text === undefined) throw new Error('there is no task: FAIRLEAD_PREFLIGHT is not set')
  const task = fieldsOf(parseJson(text), 'the task', TASK_FIELDS)
  if (task['version'] !== 1)
    throw new Error(`the task has version ${shown(task['version'])}; this program knows version 1`)
  const volumes = task['volumes']
  if (!Array.isArray(volumes)) throw new Error(`volumes is ${shown(volumes)}; it must be a list`)
  return {
    version: 1,
    ...(task['sourceRoot'] === undefined ? {} : { sourceRoot: absolutePath(task, 'sourceRoot') }),
    volumes: volumes.map(volumeOf),
    restricted: flag(task, 'restricted'),
  }
}

function volumeOf(value: unknown, index: number): PreflightVolume {
  const volume = fieldsOf(value, `volumes[${index}]`, VOLUME_FIELDS)
  const nested = volume['nested']
  if (!Array.isArray(nested)) throw new Error(`nested is ${shown(nested)}; it must be a list`)
  const destination = absolutePath(volume, 'destination')
  return {
    path: text(volume, 'path'),
    destination,
    mount: absolutePath(volume, 'mount'),
    subPath: relativePath(volume, 'subPath'),
    action: oneOf(volume, 'action', ACTIONS),
    inImage: flag(volume, 'inImage'),
    uid: id(volume, 'uid'),
    gid: id(volume, 'gid'),
    nested: nested.map((each: unknown) => nestedPath(each, destination)),
    exec: oneOf(volume, 'exec', EXEC_WISHES),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('the task is not JSON')
  }
}

function fieldsOf(value: unknown, what: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is ${shown(value)}; it must be an object`)
  const stranger = Object.keys(value).find((key) => !known.includes(key))
  if (stranger !== undefined) throw new Error(`${what} has a field ${shown(stranger)} that is not known`)
  return value as Fields
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value === 'string' && !value.includes('\0')) return value
  throw new Error(`${name} is ${shown(value)}; it must be text`)
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (typeof value === 'boolean') return value
  throw new Error(`${name} is ${shown(value)}; it must be true or false`)
}

function id(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_ID) return value
  throw new Error(`${name} is ${shown(value)}; it must be a number from 0 to ${MAX_ID}`)
}

function oneOf<Word extends string>(fields: Fields, name: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === fields[name])
  if (word !== undefined) return word
  throw new Error(`${name} is ${shown(fields[name])}; it must be one of ${words.join(', ')}`)
}

/** Clean already: what is checked here is that nobody has to clean it, since `..` would lead out. */
function absolutePath(fields: Fields, name: string): string {
  const value = text(fields, name)
  if (value === '/' || (value.startsWith('/') && isClean(value.slice(1)))) return value
  throw new Error(`${name} is ${shown(value)}; it must be a clean path that begins with a slash`)
}

function relativePath(fields: Fields, name: string): string {
  const value = text(fields, name)
  if (value === '' || isClean(value)) return value
  throw new Error(`${name} is ${shown(value)}; it must be a clean path without a slash at its beginning`)
}

function nestedPath(value: unknown, destination: string): string {
  const path = absolutePath({ nested: value }, 'nested')
  if (path.startsWith(`${destination === '/' ? '' : destination}/`)) return path
  throw new Error(`nested is ${shown(path)}; it must be below ${shown(destination)}`)
}

function isClean(path: string): boolean {
  return path.split('/').every((name) => !['', '.', '..'].includes(name))
}

function shown(value: unknown): string {
  return printable(value === undefined ? 'missing' : JSON.stringify(value), 80)
}
