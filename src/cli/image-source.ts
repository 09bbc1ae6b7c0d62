/** Images for the commands that need no state: straight from their source, nothing is stored. */
import { operatorKeychain } from '../engine/local/keychain.ts'
import { readConfig, type FairleadConfig } from '../engine/local/config.ts'
import { formatPlatform, hostPlatform, parsePlatform } from '../image/platform.ts'
import { parseReference } from '../image/reference.ts'
import type { ImageSource } from '../image/source.ts'
import type { Platform, Reference, ResolvedImage } from '../image/types.ts'
import { openSource, type SourceOptions } from '../registry/open.ts'
import type { Keychain } from '../registry/types.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { writeSentences } from './output.ts'
import { packageVersion } from './package-version.ts'
import { usage } from './usage-error.ts'

/** A source that is open, with what its reference resolved to. */
export interface OpenImage {
  readonly image: ResolvedImage
  readonly source: ImageSource
  readonly config: FairleadConfig
}

/** The words on the command line: a slip in them is a usage error. */
export function referenceOf(text: string | undefined): Reference {
  return usage(() => parseReference(text ?? ''), 'reference')
}

/** `--platform`, else this host's. */
export function platformOf(call: CommandCall): Platform {
  const text = call.options.text('platform')
  return text === undefined ? hostPlatform(process.arch) : usage(() => parsePlatform(text), '--platform')
}

/** Opens and resolves a reference of the command line, uses it, and closes the source whatever happens. */
export async function withImage<T>(
  context: CliContext,
  call: CommandCall,
  reference: Reference,
  use: (open: OpenImage) => Promise<T>,
): Promise<T> {
  const platform = platformOf(call)
  const config = readConfig()
  const source = openImageSource(context, reference, context.cwd, config, await operatorKeychain())
  try {
    const image = await source.resolve(platform, context.signal)
    return await use({ image, source, config })
  } finally {
    await source.close()
  }
}

export function openImageSource(
  context: CliContext,
  reference: Reference,
  baseDir: string,
  config: FairleadConfig,
  keychain: Keychain,
): ImageSource {
  return openSource(reference, openSourceOptions(context, baseDir, config, keychain))
}

export function openSourceOptions(
  context: CliContext,
  baseDir: string,
  config: FairleadConfig,
  keychain: Keychain,
): SourceOptions {
  return {
    baseDir,
    registries: config.registries,
    lenientLayouts: config.lenientLayouts,
    keychain,
    userAgent: `fairlead/${packageVersion()}`,
    onWarning: (text) => writeSentences(context, [text]),
  }
}

/** `image.platforms` as answers show them. */
export function platformRows(
  image: ResolvedImage,
): readonly { readonly platform: string; readonly digest: string }[] {
  return image.platforms.map(({ platform, digest }) => ({ platform: formatPlatform(platform), digest }))
}
