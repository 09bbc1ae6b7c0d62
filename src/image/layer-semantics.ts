/** By which rules layers merge: the image specification's, or those of a node with overlayfs. */
export const LAYER_SEMANTICS = ['spec', 'overlayfs'] as const
export type LayerSemantics = (typeof LAYER_SEMANTICS)[number]
