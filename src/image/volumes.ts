/**
 * The paths that an image declares with VOLUME, in the one form that storage is keyed by (rule V2). Nothing is dropped
 * in silence: what can't be a volume is an error, what looks like a mistake of the image's author is a warning.
 */
import { printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import type { ImageConfig } from './types.ts'

/** A volume over these would hide what the runtime needs, or reach through it (CVE-2024-21626). */
const RESERVED = ['/proc', '/sys', '/dev']
/** What a status can name; a kernel takes four times as much. */
const MAX_PATH_BYTES = 1024
const MAX_NAME_BYTES = 255

/** Absolute and clean (`data/./x/..` is `/data`), or why it can't be a volume, as the end of a sentence. */
export function normaliseVolumePath(key: string): { readonly path: string } | { readonly problem: string } {
  if (key.includes('\0')) return { problem: 'contains a NUL character' }
  if (printable(key, key.length) !== key)
    return { problem: 'has control characters, which no status can show' }
  const path = cleanPath(key)
  if (path === '/') return { problem: 'is the root of the file system; a volume must be a folder below it' }
  const reserved = RESERVED.find((folder) => path === folder || path.startsWith(`${folder}/`))
  if (reserved !== undefined) return { problem: `is ${reserved} or below it, which belongs to the runtime` }
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { problem: `is longer than ${MAX_PATH_BYTES} bytes` }
  if (path.split('/').some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES)) {
    return { problem: `has a name longer than ${MAX_NAME_BYTES} bytes` }
  }
  return { path }
}

/**
 * The image's declared volumes, normalised, without twins, sorted. A key that can't be a volume is an issue of severity
 * `error` (VolumePathInvalid); a key that looks like a slip is a warning, and its volume exists all the same.
 */
export function declaredVolumes(config: ImageConfig): {
  readonly volumes: readonly string[]
  readonly warnings: readonly Issue[]
} {
  const volumes = new Set<string>()
  const warnings: Issue[] = []
  for (const key of config.volumes) {
    const shown = JSON.stringify(printable(key))
    const issue = (severity: Issue['severity'], message: string): Issue => {
      return { severity, reason: 'VolumePathInvalid', path: `VOLUME ${printable(key)}`, message }
    }
    const normal = normaliseVolumePath(key)
    if ('problem' in normal) {
      warnings.push(issue('error', `the image declares the volume ${shown}, which ${normal.problem}`))
      continue
    }
    volumes.add(normal.path)
    const odd = oddity(key)
    if (odd !== undefined) {
      warnings.push(
        issue(
          'warning',
          `the image declares the volume ${shown}, which ${odd}; it is mounted at ${printable(normal.path)}`,
        ),
      )
    }
  }
  return { volumes: [...volumes].sort(), warnings }
}

/** `VOLUME [/a, /b]` is not JSON, so the builder split it at spaces and kept brackets and commas. */
function oddity(key: string): string | undefined {
  if (/^\[|\]$|,$|["']/.test(key)) return 'looks like a VOLUME list that is not valid JSON'
  if (/^\s|\s$/.test(key)) return 'has spaces at its ends'
  return key.startsWith('/') ? undefined : 'does not begin with /'
}

function cleanPath(path: string): string {
  const names: string[] = []
  for (const name of path.split('/')) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return `/${names.join('/')}`
}
