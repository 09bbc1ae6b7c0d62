/** All cases of the suite, in the order of their numbers. */
import type { LayerCase } from './case.ts'
import { WHITEOUT_CASES } from './cases-whiteouts.ts'

export const CASES: readonly LayerCase[] = [...WHITEOUT_CASES]
