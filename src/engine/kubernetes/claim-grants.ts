/**
 * Which apps were told last that they may mount a claim, until their pods and workloads say so themselves: two apps that
 * are planned at one time would both find the claim free (invariant 9). Lost with the process; the caches of the next one
 * hold all that was made.
 */
import type { ClaimUse, PodClaim } from '../../reconcile/kubernetes/types.ts'
import type { AppKey } from '../../reconcile/names.ts'

export class ClaimGrants {
  /** By namespace, then by app. */
  readonly #granted = new Map<string, Map<string, readonly PodClaim[]>>()

  /** In place of what the app was granted before. */
  grant({ namespace, name }: AppKey, claims: readonly PodClaim[]): void {
    const granted = this.#granted.get(namespace) ?? new Map<string, readonly PodClaim[]>()
    this.#granted.set(namespace, granted.set(name, claims))
  }

  withdraw({ namespace, name }: AppKey): void {
    const granted = this.#granted.get(namespace)
    granted?.delete(name)
    if (granted?.size === 0) this.#granted.delete(namespace)
  }

  /** Grants of other apps of the namespace. */
  ofOthers({ namespace, name }: AppKey): readonly ClaimUse[] {
    const others = [...(this.#granted.get(namespace) ?? [])].filter(([app]) => app !== name)
    return others.flatMap(([app, claims]) => claims.map((claim) => use(app, claim)))
  }
}

function use(app: string, { name, readOnly }: PodClaim): ClaimUse {
  return { claim: name, app, by: `ContainerApp/${app}`, readOnly: readOnly === true, is: 'wants' }
}
