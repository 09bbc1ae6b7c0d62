/** All cases of the suite. Those of tools without layers (VOLUMEs, users) live with what they concern: elsewhere.ts. */
import type { LayerCase } from './case.ts'
import { ARCHIVE_CASES } from './cases-archive.ts'
import { ATTRIBUTE_CASES } from './cases-attributes.ts'
import { BLOB_CASES } from './cases-blobs.ts'
import { BREAKOUT_CASES } from './cases-breakouts.ts'
import { LINK_CASES } from './cases-links.ts'
import { NAME_CASES } from './cases-names.ts'
import { REPLACING_CASES } from './cases-replacing.ts'
import { SPARSE_CASES } from './cases-sparse.ts'
import { WHITEOUT_CASES } from './cases-whiteouts.ts'

export const CASES: readonly LayerCase[] = [
  ...WHITEOUT_CASES,
  ...REPLACING_CASES,
  ...LINK_CASES,
  ...NAME_CASES,
  ...ATTRIBUTE_CASES,
  ...ARCHIVE_CASES,
  ...SPARSE_CASES,
  ...BLOB_CASES,
  ...BREAKOUT_CASES,
]
