/** What the operator may say about images, and how a controller comes by it. */
import type { RegistriesConfig } from '../../../registry/types.ts'
import type { CredentialProvider } from './credential-provider-config.ts'

/** Repositories below a prefix, and the folder on this machine that they are read from instead of the registry. */
export interface LayoutMapping {
  /** `registry.example.com/team/`, canonical. */
  readonly prefix: string
  /** An OCI layout, or a folder of layouts named by the rest of the repository. */
  readonly path: string
  /** Its oci-layout file may be missing or name another version. */
  readonly lenient?: boolean
}

export interface ImagesConfig {
  /** Per host: mirrors, CA file, plain http. */
  readonly registries: RegistriesConfig
  /** Hosts that apps may name; undefined: any. Mirrors and layouts are the operator's own and always allowed. */
  readonly allowedRegistries: readonly string[] | undefined
  readonly layouts: readonly LayoutMapping[]
  readonly providers: readonly CredentialProvider[]
  /** PEM file of authorities that are trusted for every host; see `trustAuthorities`. */
  readonly caFile: string | undefined
}

export const NO_IMAGES_CONFIG: ImagesConfig = {
  registries: {},
  allowedRegistries: undefined,
  layouts: [],
  providers: [],
  caFile: undefined,
}

/** Reads the operator's files about images. Authorities of a file are trusted from here on. */
export async function readImageSettings(
  file: string | undefined,
  providers: { readonly config: string; readonly binDir: string } | undefined,
): Promise<ImagesConfig> {
  if (file === undefined && providers === undefined) return NO_IMAGES_CONFIG
  // Imported only here: most controllers have no such file, and a parser of YAML takes megabytes.
  const { readCredentialProviders, readImagesConfig, trustAuthorities } = await import('./images-config.ts')
  const config = file === undefined ? NO_IMAGES_CONFIG : readImagesConfig(file)
  if (config.caFile !== undefined) trustAuthorities(config.caFile)
  if (providers === undefined) return config
  const listed = readCredentialProviders(providers.config, providers.binDir)
  return { ...config, providers: [...config.providers, ...listed] }
}
