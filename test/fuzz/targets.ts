/** Everything that reads what strangers wrote. */
import type { Target } from './fuzzer.ts'
import {
  archiveTarget,
  elfTarget,
  hooksTarget,
  imageTarget,
  programTarget,
  usersTarget,
} from './targets-images.ts'
import { gzipTarget, paxTarget, tarTarget, zstdTarget } from './targets-layers.ts'
import {
  configTarget,
  credentialsTarget,
  documentTarget,
  headerTarget,
  referenceTarget,
} from './targets-text.ts'

export const TARGETS: readonly Target[] = [
  tarTarget,
  paxTarget,
  gzipTarget,
  zstdTarget,
  referenceTarget,
  documentTarget,
  configTarget,
  headerTarget,
  credentialsTarget,
  imageTarget,
  archiveTarget,
  elfTarget,
  programTarget,
  usersTarget,
  hooksTarget,
]
