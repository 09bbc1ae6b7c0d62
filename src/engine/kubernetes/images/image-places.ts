/** Where an app's image is read from: its registry, or the layout that the operator put in the registry's place. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { canonical, parseReference } from '../../../image/reference.ts'
import type { ImageSource } from '../../../image/source.ts'
import type { LayoutReference, RegistryReference, ResolvedImage } from '../../../image/types.ts'
import { openSource, type SourceOptions } from '../../../registry/open.ts'
import { ExpectedError, printable } from '../../../errors.ts'
import type { ImagesConfig, LayoutMapping } from './image-settings.ts'

/** The app's reference, which nodes must be able to pull. Throws InvalidReference and ImageNotPullable. */
export function pullableReference(image: string): RegistryReference {
  const reference = parseReference(image)
  if (reference.kind === 'registry') return reference
  throw new ExpectedError(
    'ImageNotPullable',
    `${printable(image)} is a path, and nodes of a cluster pull from registries only; push the image to one and name it there (registry.example.com/app:1.0), or let the operator map that name to the layout`,
    { path: 'spec.image' },
  )
}

/**
 * Opens the registry, or the mapped layout: the longest prefix wins. Does no network I/O yet. Throws ImageNotPullable for
 * a registry that the operator does not allow: whoever may write an app chooses where the controller connects to.
 */
export function openPlace(
  reference: RegistryReference,
  { layouts, allowedRegistries }: Pick<ImagesConfig, 'layouts'> & Partial<ImagesConfig>,
  options: SourceOptions,
): ImageSource {
  const mapping = mappingOf(reference, layouts)
  if (mapping !== undefined) {
    const layout = layoutOf(reference, mapping)
    const { lenient: lenientLayouts = false } = mapping
    return new RenamedSource(reference, openSource(layout, { ...options, lenientLayouts }))
  }
  if (allowedRegistries?.includes(reference.registry) === false)
    throw notAllowed(reference, allowedRegistries)
  return openSource(reference, options)
}

function notAllowed({ registry }: RegistryReference, allowed: readonly string[]): ExpectedError {
  return new ExpectedError(
    'ImageNotPullable',
    `${printable(registry)} is no registry that the operator allows; there are ${printable(allowed.join(', '), 500)}`,
    { path: 'spec.image' },
  )
}

function mappingOf(
  reference: RegistryReference,
  layouts: readonly LayoutMapping[],
): LayoutMapping | undefined {
  const name = nameOf(reference)
  return layouts
    .filter(({ prefix }) => name.startsWith(prefix))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)[0]
}

function layoutOf(reference: RegistryReference, mapping: LayoutMapping): LayoutReference {
  // The prefix may be the repository itself; then the folder is its layout. The grammar of repositories has no `..` and no leading slash,
  // so this stays below the operator's folder.
  const own = join(mapping.path, nameOf(reference).slice(mapping.prefix.length))
  const marker = mapping.lenient === true ? 'index.json' : 'oci-layout'
  const path = existsSync(join(own, marker)) ? own : mapping.path
  const { tag, digest } = reference
  // One layout may hold images of several repositories: then only their full names tell them apart.
  const wanted = tag === undefined || path === own ? tag : canonical({ ...reference, digest: undefined })
  return { kind: 'oci', original: `oci:${path}`, path, tag: wanted, digest }
}

function nameOf({ registry, repository }: RegistryReference): string {
  return `${registry}/${repository}/`
}

/** A layout's images under the name by which nodes pull them; where they came from stays as it is. */
class RenamedSource implements ImageSource {
  readonly #reference: RegistryReference
  readonly #source: ImageSource
  readonly head: ImageSource['head']
  readonly holds: ImageSource['holds']
  readonly blob: ImageSource['blob']
  readonly close: ImageSource['close']

  constructor(reference: RegistryReference, source: ImageSource) {
    this.#reference = reference
    this.#source = source
    this.head = (...args) => source.head(...args)
    this.holds = (...args) => source.holds(...args)
    this.blob = (...args) => source.blob(...args)
    this.close = () => source.close()
  }

  async resolve(...args: Parameters<ImageSource['resolve']>): Promise<ResolvedImage> {
    const image = await this.#source.resolve(...args)
    return { ...image, reference: this.#reference, canonical: canonical(this.#reference) }
  }
}
