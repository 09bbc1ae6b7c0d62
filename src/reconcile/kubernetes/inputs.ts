/** What an app's objects were rendered from, as one hash: while it stays, nothing is rendered or written again. */
import { RESTART_REQUESTED_AT } from '../../crd/labels.ts'
import type { App } from '../../crd/types.ts'
import type { Digest } from '../../image/types.ts'
import { canonicalJson } from '../canonical-json.ts'
import { shortHash } from '../names.ts'

/**
 * Of workload and claims: over the user's words and the pin (index digest). Neither what the operator chose nor the
 * version of Fairlead counts: an upgrade restarts no app (DESIGN §6).
 */
export function inputsHash(app: App, pin: Digest): string {
  const { service: _service, ...spec } = app.spec
  const restart = app.metadata.annotations?.[RESTART_REQUESTED_AT]
  return hashOf({ spec, restart, pin })
}

/** Of the Service, which has words of its own: who edits them leaves the workload alone. */
export function serviceInputsHash({ spec: { ports, service } }: App): string {
  return hashOf({ ports, service })
}

function hashOf(words: unknown): string {
  return shortHash(canonicalJson(words), 32)
}
