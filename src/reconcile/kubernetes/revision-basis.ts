/**
 * What makes a pod differ beside what makes every container differ. The pin itself counts, not one platform's manifest:
 * which platform comes first depends on the nodes, and no app restarts because a node came or went.
 */
import type { App } from '../../crd/types.ts'
import type { ResolvedImage } from '../../image/types.ts'
import type { RevisionBasis } from '../types.ts'

export function clusterRevisionBasis({ spec }: App, image: ResolvedImage): RevisionBasis {
  const { ports, probes, podTemplate, pullSecrets, terminationGracePeriodSeconds, volumeDefaults } = spec
  return {
    digest: image.digest,
    more: {
      ports,
      probes,
      podTemplate,
      pullSecrets,
      terminationGracePeriodSeconds,
      layout: volumeDefaults?.layout,
    },
  }
}
