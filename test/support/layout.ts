/**
 * Images for tests, built in memory and written as a layout, an archive, or pushed to a registry on loopback. The
 * writers are those of the demo image, in scripts/lib.
 */
export {
  buildImage,
  buildIndex,
  describe,
  digestOf,
  hostPlatform,
  jsonBytes,
  MEDIA_TYPES,
} from '../../scripts/lib/oci-image.ts'
export {
  blobPath,
  layoutIndex,
  readLayoutImage,
  writeArchive,
  writeLayout,
} from '../../scripts/lib/oci-layout.ts'
export { pushImage, retag } from '../../scripts/lib/registry-push.ts'
export type {
  Artifact,
  BuiltImage,
  BuiltIndex,
  ConfigInput,
  ImageInput,
  LayerBytes,
  LayerFile,
  LayerInput,
} from '../../scripts/lib/oci-image.ts'
export type { LayoutItem } from '../../scripts/lib/oci-layout.ts'
