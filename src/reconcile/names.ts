/**
 * Names of what we own. One place, so that both engines and every version of Fairlead agree: volumes are found again
 * by these names after a delete and re-apply.
 */
import { createHash } from 'node:crypto'

/** Identity of an app; `id` is `namespace/name`, what users type and logs show. */
export interface AppKey {
  readonly namespace: string
  readonly name: string
}

export function appId(key: AppKey): string {
  return `${key.namespace}/${key.name}`
}

/** `name` or `namespace/name`, as users type it. */
export function parseAppKey(text: string, defaultNamespace = 'default'): AppKey | undefined {
  const parts = text.split('/')
  const [namespace, name] = parts.length === 2 ? parts : [defaultNamespace, parts[0]]
  const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
  if (parts.length > 2 || namespace === undefined || name === undefined) return undefined
  return label.test(namespace) && label.test(name) ? { namespace, name } : undefined
}

/** A file name for an app. `_` can't occur in a Kubernetes name, so two apps never share one. */
export function appFileName(key: AppKey): string {
  return `${key.namespace}_${key.name}`
}

export function shortHash(text: string, hexChars: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, hexChars)
}

/** Folder of one volume below `volumes/<namespace>/<name>/`. */
export function volumePathHash(path: string): string {
  return shortHash(path, 16)
}

const CLAIM_NAME_MAX = 63

/**
 * Name of the claim for `path` of an app: readable, a valid DNS label, at most 63 characters, and different for
 * different paths (the hash decides, the words are for people).
 */
export function claimName(appName: string, path: string): string {
  const hash = shortHash(`${appName}\0${path}`, 8)
  const words = `${appName}${path}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  const room = CLAIM_NAME_MAX - hash.length - 1
  return `${words.slice(0, room).replace(/-+$/, '')}-${hash}`
}

/** Folder and runtime id of one revision's container. Valid for runc and crun: `[A-Za-z0-9_+.-]`. */
export function instanceId(key: AppKey, revision: string): string {
  return `${appFileName(key)}_${revision}`
}
