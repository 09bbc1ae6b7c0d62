/** Images from layers to what the cluster's engine keeps of them, without any registry. */
import type { ImageSource } from '../../../../src/image/source.ts'
import type { Digest, Manifest } from '../../../../src/image/types.ts'
import { CheckContent } from '../../../../src/engine/kubernetes/images/check-content.ts'
import { CompactTree } from '../../../../src/engine/kubernetes/images/compact-tree.ts'
import type { ContentSink } from '../../../../src/rootfs/content-sink.ts'
import { flattenImage } from '../../../../src/rootfs/flatten-image.ts'
import { treeView } from '../../../../src/rootfs/tree.ts'
import type { FileTree, TreeNode } from '../../../../src/rootfs/types.ts'
import type { HostileRegistry } from '../../../support/hostile-registry.ts'
import { diffIdOf, layer, type LayerPart } from '../../../support/layer.ts'
import type { Artifact } from '../../../support/layout.ts'
import { inChunks, MemorySink } from '../../../rootfs/flattened.ts'

/** What is kept of the layers; `chunk` is how many bytes the reader sees at a time. */
export async function seen(
  layers: readonly (readonly LayerPart[])[],
  { budgetBytes, chunk }: { budgetBytes?: number; chunk?: number } = {},
): Promise<CompactTree> {
  const sink = new CheckContent(budgetBytes)
  return CompactTree.from(await flattened(layers, sink, chunk), sink.kept)
}

/** The same image with everything in memory: what the checks would see on one host. */
export async function whole(layers: readonly (readonly LayerPart[])[]): Promise<FileTree> {
  const root = await flattened(layers, new MemorySink())
  return treeView(root, ({ bytes = Buffer.alloc(0) }, maxBytes, offset) =>
    bytes.subarray(offset, offset + maxBytes),
  )
}

async function flattened(
  layers: readonly (readonly LayerPart[])[],
  sink: ContentSink,
  chunk?: number,
): Promise<TreeNode> {
  const tars = layers.map((parts) => layer(parts))
  const blobs = new Map<Digest, Buffer>(tars.map((tar) => [diffIdOf(tar), tar]))
  const source: Pick<ImageSource, 'blob'> = {
    blob: ({ digest }) => inChunks(blobs.get(digest) ?? Buffer.alloc(0), chunk),
  }
  const manifest: Pick<Manifest, 'layers'> = {
    layers: tars.map((tar) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: diffIdOf(tar),
      size: tar.length,
    })),
  }
  const config = { diffIds: tars.map((tar) => diffIdOf(tar)) }
  return (await flattenImage({ source, manifest, config, sink, signal: new AbortController().signal })).tree
}

/** Every path of a tree, sorted. */
export function pathsOf(tree: FileTree, names: readonly string[] = []): readonly string[] {
  return [...(tree.list?.(names) ?? [])].flatMap((name) => {
    const path = [...names, name]
    const below = tree.lookup(path)?.type === 'directory' ? pathsOf(tree, path) : []
    return [path.join('/'), ...below]
  })
}

/** Puts an image or index and all below it into a registry. */
export function serve(
  registry: HostileRegistry,
  artifact: Artifact,
  tag: string,
  repository = 'team/app',
): void {
  const manifests = new Map(artifact.manifests.map((descriptor) => [descriptor.digest, descriptor]))
  for (const [digest, bytes] of artifact.blobs) {
    const descriptor = manifests.get(digest)
    if (descriptor === undefined) registry.blob(repository, bytes)
    else {
      const document = { mediaType: descriptor.mediaType, bytes }
      registry.manifest(repository, document, digest === artifact.digest ? tag : undefined)
    }
  }
}
