/**
 * What a preflight pod found out about a claim, kept as annotations on the claim itself: it outlives the pod, the app
 * and the controller, and is found again when the app is applied again.
 */
import { EXEC_SEEN, SEED_LOSSES, SEEDED_FROM } from '../../crd/labels.ts'
import { printable } from '../../errors.ts'
import { textsOf, jsonIn } from './observe-fields.ts'
import type { ObservedClaim, RenderedClaim } from './types.ts'

export type ExecSeen = 'exec' | 'noexec'

/** What is known of one volume. */
export interface VolumeFact {
  /** As in `ObservedClaim.seeded`; undefined: nothing was prepared. */
  readonly seeded: string | undefined
  /** undefined: not tried. */
  readonly exec: ExecSeen | undefined
  /** What could not be kept when it was seeded, for people; undefined: nothing is known to be lost. */
  readonly lost?: string | undefined
}

/** A report has no room for more. */
const MAX_LOST = 1024

/** By path. */
export type VolumeFacts = ReadonlyMap<string, VolumeFact>

export const NO_FACTS: VolumeFacts = new Map()

export function execIn(annotations: Readonly<Record<string, string>>): Readonly<Record<string, ExecSeen>> {
  const seen = Object.entries(textsOf(jsonIn(annotations[EXEC_SEEN])))
  return Object.fromEntries(
    seen.filter((entry): entry is [string, ExecSeen] => entry[1] === 'exec' || entry[1] === 'noexec'),
  )
}

/** By path: what could not be kept. Anybody may write annotations, so nothing is printed as it is. */
export function lostIn(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const lost = Object.entries(textsOf(jsonIn(annotations[SEED_LOSSES])))
  return Object.fromEntries(lost.map(([path, words]) => [path, printable(words, MAX_LOST)]))
}

/** Annotations of a claim: what it has said so far, and what is known now. Absent where nothing is known. */
export function factAnnotations(
  rendered: RenderedClaim,
  before: ObservedClaim | undefined,
  facts: VolumeFacts,
): Readonly<Record<string, string>> {
  const seeded = { ...before?.seeded }
  const exec = { ...before?.exec }
  const lost = { ...before?.lost }
  for (const { path } of rendered.volumes) {
    const fact = facts.get(path)
    // A volume is seeded once (rule V6): what was written down first stays.
    if (fact?.seeded !== undefined) seeded[path] ??= fact.seeded
    if (fact?.exec !== undefined) exec[path] = fact.exec
    if (fact?.lost !== undefined) lost[path] = fact.lost
  }
  return {
    ...(Object.keys(seeded).length === 0 ? {} : { [SEEDED_FROM]: sortedJson(seeded) }),
    ...(Object.keys(exec).length === 0 ? {} : { [EXEC_SEEN]: sortedJson(exec) }),
    ...(Object.keys(lost).length === 0 ? {} : { [SEED_LOSSES]: sortedJson(lost) }),
  }
}

/** Whether the facts say anything about the claim that it does not say itself. */
export function hasNews(rendered: RenderedClaim, before: ObservedClaim, facts: VolumeFacts): boolean {
  return rendered.volumes.some(({ path }) => {
    const fact = facts.get(path)
    if (fact === undefined) return false
    const seeds = fact.seeded !== undefined && before.seeded[path] === undefined
    const loses = fact.lost !== undefined && before.lost?.[path] !== fact.lost
    return seeds || loses || (fact.exec !== undefined && before.exec?.[path] !== fact.exec)
  })
}

/** Whether every volume on the claim was prepared, as the claim or the facts say. */
export function isPrepared(
  rendered: RenderedClaim,
  before: ObservedClaim | undefined,
  facts: VolumeFacts = NO_FACTS,
): boolean {
  return rendered.volumes.every(({ path }) => isVolumePrepared(path, before, facts))
}

export function isVolumePrepared(
  path: string,
  before: ObservedClaim | undefined,
  facts: VolumeFacts = NO_FACTS,
): boolean {
  return before?.seeded[path] !== undefined || facts.get(path)?.seeded !== undefined
}

function sortedJson(value: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))))
}
