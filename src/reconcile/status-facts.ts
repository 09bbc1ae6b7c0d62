/** What a pass knows at its end, of which the status is made. */
import type { AppStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import type { ExpectedError, Issue } from '../errors.ts'
import type { GoneImage } from './status-gone.ts'
import type { ImageFacts } from './status-image.ts'
import type { TagMove } from './status-move.ts'
import type { Desired, Observed, Part, Trouble, VolumeWords } from './types.ts'

export interface Facts {
  readonly app: App | undefined
  readonly generation: number
  readonly previous: AppStatus | undefined
  readonly image: ImageFacts | undefined
  /** Why the image, the rendering or a step failed; undefined when all went well. */
  readonly error: ExpectedError | undefined
  /** Which part failed: it decides which condition says so. */
  readonly failedAt: Part | undefined
  readonly warnings: readonly Issue[]
  readonly desired: Desired | undefined
  /** Nothing had to be rendered: `desired` is absent although all is well, and what is wanted is what is there. */
  readonly settled: boolean
  /** Whether the user wants it to run; undefined when the resource could not be read. */
  readonly running: boolean | undefined
  /** Id of the instance that should run. */
  readonly targetId: string | undefined
  readonly observed: Observed
  /** undefined: what was told last stays. */
  readonly addresses: readonly string[] | undefined
  /** Where the tag was last seen; undefined when nobody has asked. */
  readonly movedTo: TagMove | undefined
  /** What is needed and no longer where it came from; undefined: nobody asks. */
  readonly gone?: readonly GoneImage[] | undefined
  /** A request whose resolution failed while the pin stays good. */
  readonly resolveError: ExpectedError | undefined
  /** What the plan waits for although nothing is wrong. */
  readonly waiting: Trouble | undefined
  /** What goes on elsewhere and has to be done before the pass can get any further. */
  readonly waitsFor?: string | undefined
  /** What the plan says of volumes beside what every engine says. */
  readonly volumes?: readonly VolumeWords[] | undefined
  readonly wakeAtMs: number | undefined
  readonly nowMs: number
}
