/** `--layer-semantics` of a command. */
import { LAYER_SEMANTICS, type LayerSemantics } from '../image/layer-semantics.ts'
import type { CommandCall } from './command-spec.ts'

/** The parser has refused everything else. */
export function layerSemanticsOf(call: CommandCall): LayerSemantics {
  const text = call.options.text('layerSemantics')
  return LAYER_SEMANTICS.find((known) => known === text) ?? 'spec'
}
