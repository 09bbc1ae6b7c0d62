/**
 * What a preflight pod found out about a claim, kept as annotations on the claim itself: it outlives the pod, the app
 * and the controller, and is found again when the app is applied again.
 */
import { EXEC_SEEN, SEEDED_FROM } from '../../crd/labels.ts'
import { textsOf, jsonIn } from './observe-fields.ts'
import type { ObservedClaim, RenderedClaim } from './types.ts'

export type ExecSeen = 'exec' | 'noexec'

/** What is known of one volume. */
export interface VolumeFact {
  /** As in `ObservedClaim.seeded`; undefined: nothing was prepared. */
  readonly seeded: string | undefined
  /** undefined: not tried. */
  readonly exec: ExecSeen | undefined
}

/** By path. */
export type VolumeFacts = ReadonlyMap<string, VolumeFact>

export const NO_FACTS: VolumeFacts = new Map()

export function execIn(annotations: Readonly<Record<string, string>>): Readonly<Record<string, ExecSeen>> {
  const seen = Object.entries(textsOf(jsonIn(annotations[EXEC_SEEN])))
  return Object.fromEntries(
    seen.filter((entry): entry is [string, ExecSeen] => entry[1] === 'exec' || entry[1] === 'noexec'),
  )
}

/** Annotations of a claim: what it has said so far, and what is known now. Absent where nothing is known. */
export function factAnnotations(
  rendered: RenderedClaim,
  before: ObservedClaim | undefined,
  facts: VolumeFacts,
): Readonly<Record<string, string>> {
  const seeded = { ...before?.seeded }
  const exec = { ...before?.exec }
  for (const { path } of rendered.volumes) {
    const fact = facts.get(path)
    // A volume is seeded once (rule V6): what was written down first stays.
    if (fact?.seeded !== undefined) seeded[path] ??= fact.seeded
    if (fact?.exec !== undefined) exec[path] = fact.exec
  }
  return {
    ...(Object.keys(seeded).length === 0 ? {} : { [SEEDED_FROM]: sortedJson(seeded) }),
    ...(Object.keys(exec).length === 0 ? {} : { [EXEC_SEEN]: sortedJson(exec) }),
  }
}

/** Whether the facts say anything about the claim that it does not say itself. */
export function hasNews(rendered: RenderedClaim, before: ObservedClaim, facts: VolumeFacts): boolean {
  return rendered.volumes.some(({ path }) => {
    const fact = facts.get(path)
    if (fact === undefined) return false
    const seeds = fact.seeded !== undefined && before.seeded[path] === undefined
    return seeds || (fact.exec !== undefined && before.exec?.[path] !== fact.exec)
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
