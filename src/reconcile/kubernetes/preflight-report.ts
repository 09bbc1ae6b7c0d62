/**
 * Reads what a preflight pod answered. Whoever may write pods' status may write anything, so the text is taken apart
 * strictly: an answer that is not exactly one is no answer.
 */
import { isFields, type Fields } from '../../crd/view.ts'
import { ExpectedError, printable, type Reason } from '../../errors.ts'
import type { Digest } from '../../image/types.ts'
import { PREFLIGHT_CONTAINER } from './preflight-pod.ts'
import { lossPrefix } from './preflight-task.ts'
import type { VolumeFact } from './seeded.ts'
import type { ObservedContainer, ObservedPod } from './types.ts'

/** Reasons that a report may give; anything else is no report. */
const REASONS: ReadonlySet<string> = new Set<Reason>([
  'SeedFailed',
  'VolumeNotExecutable',
  'DiskFull',
  'PermissionDenied',
  'InternalError',
])

const MAX_MESSAGE = 400
/** As long as the whole report may be. */
const MAX_NOTE = 1024
const KEYS = ['version', 'volumes', 'error', 'note']
const ENTRY = /^[cko-][xn?]$/

export interface PreflightResult {
  /** What is known now, by path: also of a run that failed half way. */
  readonly facts: ReadonlyMap<string, VolumeFact>
  /** Why it failed; undefined when all went well. */
  readonly error: ExpectedError | undefined
}

/**
 * What a finished preflight pod says. `digest`: what it seeded from. A missing or senseless report is `PreflightFailed`,
 * with the kubelet's words where there are any.
 */
export function preflightResult(pod: ObservedPod, digest: Digest): PreflightResult {
  const container = pod.containers.find(({ name }) => name === PREFLIGHT_CONTAINER)
  const report = parseReport(container?.message, pod.taskPaths ?? [])
  if (report === undefined) return { facts: new Map(), error: noReport(pod, container) }
  const paths = pod.taskPaths ?? []
  const lost = lossesIn(report.note, paths)
  const facts = new Map(
    paths.map((path, index) => [
      path,
      { ...factOf(report.volumes[index] ?? '-?', digest), lost: lost.get(path) },
    ]),
  )
  const failed = pod.phase !== 'Succeeded' && report.error === undefined
  return { facts, error: failed ? noReport(pod, container) : report.error }
}

interface Report {
  readonly volumes: readonly string[]
  readonly error: ExpectedError | undefined
  readonly note: string | undefined
}

function parseReport(text: string | undefined, paths: readonly string[]): Report | undefined {
  const value = parsed(text)
  if (!isFields(value) || value['version'] !== 1) return undefined
  if (Object.keys(value).some((key) => !KEYS.includes(key))) return undefined
  const { volumes, note } = value
  if (!Array.isArray(volumes) || volumes.length !== paths.length) return undefined
  if (!volumes.every((entry): entry is string => typeof entry === 'string' && ENTRY.test(entry)))
    return undefined
  if (note !== undefined && typeof note !== 'string') return undefined
  const error = value['error'] === undefined ? undefined : errorIn(value['error'])
  if (error === 'senseless') return undefined
  return { volumes, error, note: note === undefined ? undefined : printable(note, MAX_NOTE) }
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown)
  } catch {
    return undefined
  }
}

function errorIn(value: unknown): ExpectedError | 'senseless' {
  if (!isFields(value)) return 'senseless'
  const { reason, message, path }: Fields = value
  if (typeof reason !== 'string' || !REASONS.has(reason) || typeof message !== 'string') return 'senseless'
  if (path !== undefined && typeof path !== 'string') return 'senseless'
  const words = printable(message, MAX_MESSAGE)
  const where = path === undefined ? '' : `${printable(path)}: `
  return new ExpectedError(reason as Reason, `${where}${words}`, { retry: 'backoff' })
}

/** By path. A part that names no volume, since the note had to be cut, is the first one's: nothing goes untold. */
function lossesIn(note: string | undefined, paths: readonly string[]): ReadonlyMap<string, string> {
  const losses = new Map<string, string>()
  for (const part of note?.split('; ') ?? []) {
    const path = paths.find((each) => part.startsWith(lossPrefix(each))) ?? paths[0] ?? ''
    const before = losses.get(path)
    losses.set(path, before === undefined ? part : `${before}; ${part}`)
  }
  return losses
}

function factOf(entry: string, digest: Digest): VolumeFact {
  const done: Readonly<Record<string, string>> = { c: digest, k: 'kept', o: 'empty' }
  const exec = entry[1] === 'x' ? 'exec' : entry[1] === 'n' ? 'noexec' : undefined
  return { seeded: done[entry[0] ?? ''], exec }
}

/** Nobody answered: the node took the pod away, or the program could not even start. */
function noReport(pod: ObservedPod, container: ObservedContainer | undefined): ExpectedError {
  const why = [pod.reason, pod.message, ...containerWords(pod, container)]
    .filter((word) => word !== undefined && word !== '')
    .join(': ')
  const message = `the pod ${pod.name}, which prepares volumes, ended without a report${why === '' ? '' : ` (${why})`}; it is started again`
  return new ExpectedError('PreflightFailed', message, { retry: 'backoff' })
}

function containerWords(
  { initContainers }: ObservedPod,
  container: ObservedContainer | undefined,
): readonly (string | undefined)[] {
  // Ours first: the holder is ended after it, by a signal.
  const failed = [...(container === undefined ? [] : [container]), ...initContainers].find(
    ({ exitCode }) => exitCode !== undefined && exitCode !== 0,
  )
  if (failed === undefined) return []
  // A broken report may be long and is not meant for people.
  const words = failed.name === PREFLIGHT_CONTAINER ? undefined : failed.message
  return [`${failed.name} ended with exit code ${failed.exitCode}`, failed.reason, words]
}
