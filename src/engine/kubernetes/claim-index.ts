/** Children by the claims that they keep others from, and apps that wait for one of these. */
import { claimsHeldBy } from '../../reconcile/kubernetes/claim-uses.ts'
import type { ClaimUse, PodClaim, ObservedObject } from '../../reconcile/kubernetes/types.ts'
import type { AppKey } from '../../reconcile/names.ts'

/** A child as far as claims go. */
export interface ClaimHolder {
  /** `namespace/name`. */
  readonly key: string
  /** `namespace/name` of its app. */
  readonly app: string
  readonly kind: string
  readonly holds: readonly PodClaim[]
}

/** Most children hold none: one list for all of them. */
const NONE: readonly PodClaim[] = []

export function holdsOf(observed: ObservedObject): readonly PodClaim[] {
  const held = claimsHeldBy(observed)
  return held.length === 0 ? NONE : held
}

export class ClaimIndex {
  /** By `namespace/claim`. */
  readonly #holders = new Map<string, readonly ClaimHolder[]>()
  readonly #waiting = new Map<string, Set<string>>()

  /** Replaces what a child held; the apps that wait for what it holds no longer. */
  change(before: ClaimHolder | undefined, after: ClaimHolder | undefined): readonly string[] {
    if ((before?.holds.length ?? 0) === 0 && (after?.holds.length ?? 0) === 0) return []
    if (before !== undefined) for (const claim of keysOf(before)) this.#remove(claim, before)
    if (after !== undefined) for (const claim of keysOf(after)) this.#add(claim, after)
    const kept = new Set(keysOf(after))
    return keysOf(before).flatMap((claim) => (kept.has(claim) ? [] : this.#wake(claim)))
  }

  /** What other apps of the namespace hold of these claims. The app is told by `change` when one of them is let go. */
  usesByOthers({ namespace, name }: AppKey, claims: readonly string[]): readonly ClaimUse[] {
    const app = `${namespace}/${name}`
    return [...new Set(claims)].flatMap((claim) => {
      const key = `${namespace}/${claim}`
      const others = (this.#holders.get(key) ?? []).filter((holder) => holder.app !== app)
      if (others.length > 0) this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(app))
      return others.map((holder) => useOf(claim, holder))
    })
  }

  #add(claim: string, holder: ClaimHolder): void {
    this.#holders.set(claim, [...(this.#holders.get(claim) ?? []), holder])
  }

  #remove(claim: string, holder: ClaimHolder): void {
    const rest = (this.#holders.get(claim) ?? []).filter(
      ({ key, kind }) => key !== holder.key || kind !== holder.kind,
    )
    if (rest.length === 0) this.#holders.delete(claim)
    else this.#holders.set(claim, rest)
  }

  #wake(claim: string): readonly string[] {
    const apps = [...(this.#waiting.get(claim) ?? [])]
    this.#waiting.delete(claim)
    return apps
  }
}

function keysOf(holder: ClaimHolder | undefined): readonly string[] {
  if (holder === undefined) return []
  const namespace = holder.key.slice(0, holder.key.indexOf('/'))
  return holder.holds.map(({ name }) => `${namespace}/${name}`)
}

function useOf(claim: string, { app, key, kind, holds }: ClaimHolder): ClaimUse {
  const nameOf = (id: string) => id.slice(id.indexOf('/') + 1)
  const readOnly = holds.find(({ name }) => name === claim)?.readOnly ?? false
  return { claim, app: nameOf(app), by: `${kind}/${nameOf(key)}`, readOnly, is: 'runs' }
}
