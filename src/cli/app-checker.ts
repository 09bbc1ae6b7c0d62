/** What `check` asks of an engine. */
import type { App } from '../crd/types.ts'
import type { Issue } from '../errors.ts'
import type { InputApp } from './input-documents.ts'

export interface AppChecker {
  /** What the resource alone shows. */
  readonly ofResource: (app: App) => readonly Issue[]
  /** The same with the image: warnings. Throws IssuesError or ExpectedError for what would be refused. */
  readonly withImage: (document: InputApp) => Promise<readonly Issue[]>
}
