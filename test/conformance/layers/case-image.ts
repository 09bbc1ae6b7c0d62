/** A case as a whole image: what `writeLayout` writes to disk and `pushImage` to a registry. */
import {
  type Artifact,
  describe,
  digestOf,
  hostPlatform,
  jsonBytes,
  MEDIA_TYPES,
} from '../../support/layout.ts'
import { caseDiffIds, layerDescriptor, type LayerCase } from './case.ts'

/** Manifest, config and layers, each blob under the digest that is claimed for it. */
export function caseImage(layerCase: LayerCase): Artifact {
  const platform = hostPlatform()
  const config = jsonBytes({
    created: '1970-01-01T00:00:00Z',
    ...platform,
    config: { Cmd: ['/bin/true'] },
    ...layerCase.config,
    rootfs: { type: 'layers', diff_ids: caseDiffIds(layerCase) },
  })
  const layers = layerCase.layers.map(layerDescriptor)
  const manifest = jsonBytes({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.manifest,
    config: describe(MEDIA_TYPES.oci.config, config),
    layers,
  })
  const descriptor = { ...describe(MEDIA_TYPES.oci.manifest, manifest), platform }
  const blobs = new Map([
    ...layerCase.layers.map((layer) => [layerDescriptor(layer).digest, layer.blob] as const),
    [digestOf(config), config] as const,
    [descriptor.digest, manifest] as const,
  ])
  return { descriptor, digest: descriptor.digest, blobs, files: new Map(), manifests: [descriptor] }
}
