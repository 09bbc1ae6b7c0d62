/** Secrets and ConfigMaps of a pod are read by the kubelet; the controller has no right to them and needs none. */
import type { Sources } from '../../reconcile/ports.ts'

export const DEFERRED_SOURCES: Sources = {
  secret: () => undefined,
  configMap: () => undefined,
  deferred: true,
}
