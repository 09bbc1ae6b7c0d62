/** How a controller of a cluster would render, as far as nobody but its operator knows: options with its own defaults. */
import { resolve } from 'node:path'
import { parseQuantity } from '../../crd/quantity.ts'
import type { ImagesConfig, LayoutMapping } from '../../engine/kubernetes/images/image-settings.ts'
import { readImagesConfig } from '../../engine/kubernetes/images/images-config.ts'
import type { ClusterOptions } from '../../reconcile/kubernetes/types.ts'
import type { CommandCall } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { POD_SECURITY_LEVELS } from '../tree/cluster-rendering.ts'
import { UsageError } from '../usage-error.ts'

export const DEFAULT_VOLUME_SIZE = '10Gi'

export interface RenderSettings {
  readonly options: ClusterOptions
  readonly layouts: readonly LayoutMapping[]
  /** In place of the host's own configuration; undefined without `--registries-config`. */
  readonly registries: ImagesConfig['registries'] | undefined
}

export function renderSettings(context: CliContext, { options }: CommandCall): RenderSettings {
  const file = options.text('registriesConfig')
  const config = file === undefined ? undefined : readImagesConfig(resolve(context.cwd, file))
  return {
    options: {
      fairleadImage: preflightImage(options.flag('preflight'), options.text('preflightImage')),
      fairleadPullSecrets: [],
      imageVolumes: options.text('imageVolumes') === 'yes',
      podSecurity: POD_SECURITY_LEVELS.find((level) => level === options.text('podSecurity')) ?? 'privileged',
      defaultVolumeSize: volumeSize(options.text('defaultVolumeSize') ?? DEFAULT_VOLUME_SIZE),
    },
    layouts: config?.layouts ?? [],
    registries: config?.registries,
  }
}

/** Only the preflight pod has it. */
function preflightImage(needed: boolean, image: string | undefined): string {
  if (image !== undefined && image !== '') return image
  if (!needed) return ''
  throw new UsageError("is needed for the preflight pod: the controller's own image", '--preflight-image')
}

/** A quantity above 0, as typed; UsageError for anything else. */
export function volumeSize(text: string): string {
  if ((parseQuantity(text) ?? 0n) > 0n) return text
  throw new UsageError(`found ${JSON.stringify(text)}; must be a size such as 10Gi`, '--default-volume-size')
}
