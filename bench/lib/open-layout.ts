/** An image in an OCI layout, opened as the commands do. */
import { arch } from 'node:process'
import type { ImageSource } from '../../src/image/source.ts'
import type { ResolvedImage } from '../../src/image/types.ts'
import { openSource } from '../../src/registry/open.ts'
import { parseRegistriesConfig } from '../../src/registry/registries-config.ts'

export interface OpenedImage {
  readonly source: ImageSource
  readonly image: ResolvedImage
}

export async function openLayout(layout: string, tag: string, signal: AbortSignal): Promise<OpenedImage> {
  const source = openSource(
    { kind: 'oci', original: `oci:${layout}:${tag}`, path: layout, tag, digest: undefined },
    {
      baseDir: '/',
      registries: parseRegistriesConfig({}),
      keychain: { find: async () => ({ credentials: [], problems: [] }) },
    },
  )
  const image = await source.resolve({ os: 'linux', architecture: arch === 'x64' ? 'amd64' : arch }, signal)
  return { source, image }
}
