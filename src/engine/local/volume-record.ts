/** What is stored beside a volume's data: whose it is, and how far its making has come. */
import type { SeedPhase } from './seed.ts'

/** What is known of a stored volume. */
export interface VolumeRecord {
  readonly namespace: string
  /** The app that owns the path; `_claims` for a claim that only its name owns. */
  readonly app: string
  readonly path: string
  readonly claimName: string
  readonly retain: 'Retain' | 'Delete'
  /** `Importing`: imported content is whole beside the volume and only has to be swapped in. */
  readonly phase: SeedPhase | 'Importing' | 'Ready'
  /** Suffix of the folders of an import that is being swapped in. */
  readonly importing?: string
  /** Digest whose content seeded it; undefined when it was created empty. */
  readonly seededFrom: string | undefined
}

export interface StoredVolume {
  readonly record: VolumeRecord
  readonly dataDir: string
  readonly dir: string
}
