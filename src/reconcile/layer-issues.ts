/**
 * What an app is told when overlayfs nodes show something else than the image specification says. Pure. `text` is the
 * sentence of src/rootfs/divergences.ts; undefined when both show the same.
 */
import type { App } from '../crd/types.ts'
import type { Issue } from '../errors.ts'
import type { LayerSemantics } from '../image/layer-semantics.ts'

/** How the layers of the app's image merge on one host. */
export function localSemantics({ spec }: App): LayerSemantics {
  return spec.imagePolicy?.layerSemantics ?? 'spec'
}

export function localLayerIssues(semantics: LayerSemantics, text: string | undefined): readonly Issue[] {
  if (text === undefined) return []
  const here =
    semantics === 'overlayfs'
      ? 'as imagePolicy.layerSemantics asks, the app sees what nodes show'
      : 'here the app sees what the specification says; imagePolicy.layerSemantics: overlayfs does as nodes do, and refuses what they refuse'
  return [diverges(`${text}; ${here}`)]
}

/** Nodes unpack images by themselves: the specification's tree can't be had there (invariant 11). */
export function clusterLayerIssues({ spec }: App, text: string | undefined): readonly Issue[] {
  if (text === undefined) return []
  if (spec.imagePolicy?.layerSemantics !== 'spec')
    return [diverges(`${text}; fairlead unpack --report lists all`)]
  const path = 'spec.imagePolicy.layerSemantics'
  const message = `spec can't be had in a cluster, since nodes unpack images by themselves: ${text}`
  return [{ severity: 'warning', reason: 'UnsupportedField', path, message }]
}

function diverges(message: string): Issue {
  return { severity: 'warning', reason: 'LayersDiverge', path: 'spec.image', message }
}
