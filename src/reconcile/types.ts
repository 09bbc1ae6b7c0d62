/**
 * The values that flow through the middle: what is wanted (`Desired`), what is there (`Observed`), what is to be done
 * (`Step`). All plain data.
 */
import type { InventoryItem, VolumeStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import type { HookWish, Identity, ProcessWish, ResourceLimits, SecurityWish } from '../bundle/types.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import type { ExpectedError, Issue, Reason } from '../errors.ts'
import type { AppKey } from './names.ts'

/** Where a volume's bytes live. */
export type VolumeStorage =
  /** Ours, keyed by (namespace, name, path); survives everything but an explicit word. */
  | { readonly kind: 'own' }
  /** An existing claim of the namespace, by its claim name. */
  | { readonly kind: 'claim'; readonly claimName: string }
  | { readonly kind: 'hostPath'; readonly path: string }
  | {
      readonly kind: 'configMap' | 'secret'
      readonly name: string
      readonly optional: boolean
      readonly mode: number | undefined
    }
  /** `medium: Memory`: a tmpfs, gone at stop, by the user's word. */
  | { readonly kind: 'memory'; readonly sizeBytes: number | undefined }

export interface DesiredVolume {
  /** Normalised path as declared; the key of the volume for ever. */
  readonly path: string
  /** Where it is mounted: `path` with the tree's symlinks resolved (rule V3). */
  readonly destination: string
  /** VOLUME paths of the image that lead there by a link; absent when there are none. */
  readonly aliases?: readonly string[]
  readonly origin: 'Image' | 'Spec'
  readonly claimName: string
  readonly storage: VolumeStorage
  readonly subPath: string | undefined
  readonly readOnly: boolean
  /** `Forbidden` mounts noexec; `Required` and `Any` mount exec; `Required` fails the app when the host forbids it. */
  readonly exec: 'Required' | 'Any' | 'Forbidden'
  readonly seed: 'IfEmpty' | 'Never'
  readonly retain: 'Retain' | 'Delete'
  /** The image has a folder there whose content seeds the volume; else the volume is created empty for the user. */
  readonly inImage: boolean
  /** Nested volumes' destinations below this one: they are seeded into their own storage (rule V8). */
  readonly nested: readonly string[]
}

/** Everything that decides how an app runs. */
export interface Desired {
  readonly key: AppKey
  readonly app: App
  readonly image: ResolvedImage
  /** Changes exactly when the container must be replaced. */
  readonly revision: string
  readonly volumes: readonly DesiredVolume[]
  readonly process: ProcessWish
  readonly identity: Identity
  readonly hooks: readonly HookWish[]
  readonly limits: ResourceLimits
  readonly security: SecurityWish
  /** False while suspended or scaled to zero. */
  readonly running: boolean
  readonly graceSeconds: number
  readonly stopSignal: string
  readonly warnings: readonly Issue[]
}

/** The end of one run of a container. */
export interface Termination {
  readonly exitCode: number
  readonly reason:
    | Extract<Reason, 'Exited' | 'OutOfMemory' | 'HookFailed' | 'RuntimeFailed'>
    | 'Lost'
    | 'Rebooted'
    | 'Stopped'
  readonly message: string
  readonly startedAtMs: number
  readonly finishedAtMs: number
}

export interface ObservedInstance {
  readonly id: string
  readonly revision: string
  /** Digest that this instance was rendered from. */
  readonly digest: Digest
  /** `prepared`: never started. `starting`: supervisor alive, app not yet proven up. `ended`: no process left. */
  readonly state: 'prepared' | 'starting' | 'running' | 'ended'
  /** Number of the current run, from 1; 0 while prepared. */
  readonly run: number
  readonly startedAtMs: number | undefined
  /** How the current run ended; undefined while it is alive. */
  readonly termination: Termination | undefined
  /** How the last run that ended did, the current one or the one before it. */
  readonly lastEnd: Termination | undefined
  /** Ended runs in a row that count for the backoff, including the last one once it was recorded. */
  readonly failures: number
  readonly restarts: number
  /** Whether `failures` already counts the current run's end. */
  readonly recorded: boolean
}

export interface ObservedVolume {
  readonly path: string
  readonly claimName: string
  readonly phase: 'Bound' | 'Pending'
  readonly seeded: boolean
  /** The image whose content it was seeded with; undefined when none was, or nobody knows. */
  readonly seededFrom?: Digest | undefined
  readonly retain: 'Retain' | 'Delete'
  /** When its storage was made, in milliseconds since the epoch, where the engine knows. */
  readonly createdAtMs?: number | undefined
  /** What it holds, where the engine knows. */
  readonly capacityBytes?: bigint | undefined
  /** What its storage is busy with, or in trouble about. */
  readonly message?: string | undefined
}

export interface Observed {
  readonly instances: readonly ObservedInstance[]
  /** Stored volumes of the app: also those that no revision mounts any more. */
  readonly volumes: readonly ObservedVolume[]
  /** Mount flags of every volume of the running container, by path, read back from the kernel. */
  readonly execByPath: ReadonlyMap<string, 'exec' | 'noexec'>
  /** Counts of an engine that runs several containers of one revision; absent: one instance is one container. */
  readonly workload?: WorkloadCounts
  /** Why nothing is ready, in the words of an engine that knows more than how the last run ended. */
  readonly trouble?: Trouble
  /** Objects that the engine made for the app; absent: its instances and volumes. */
  readonly inventory?: readonly InventoryItem[]
}

export interface WorkloadCounts {
  readonly replicas: number
  readonly ready: number
  /** Label selector of the containers, for autoscalers. */
  readonly selector: string
}

/** A state that is not good yet, or not any more. */
export interface Trouble {
  readonly reason: Reason | 'Starting' | 'Progressing'
  readonly message: string
}

/** One thing to do. `keep` is a step so that doing nothing is visible in logs and tests. */
export type Step =
  | { readonly kind: 'keep'; readonly id: string }
  | { readonly kind: 'ensure-volume'; readonly volume: DesiredVolume }
  | { readonly kind: 'prepare'; readonly id: string }
  | { readonly kind: 'stop'; readonly id: string }
  | { readonly kind: 'record-end'; readonly id: string; readonly failures: number; readonly restarts: number }
  | { readonly kind: 'start'; readonly id: string; readonly run: number }
  | { readonly kind: 'remove-instance'; readonly id: string }
  | { readonly kind: 'remove-volume'; readonly path: string }

/** The part of a pass that something belongs to: it decides which condition says so. */
export type Part = 'resource' | 'image' | 'rendering' | 'volumes' | 'workload'

/** What is to be done now; `Action` is the engine's own kind of step. */
export interface Plan<Action = Step> {
  readonly steps: readonly Action[]
  /** When to look again although nothing happened: a backoff that runs out. Milliseconds since the epoch. */
  readonly wakeAtMs: number | undefined
  /** Why the steps do not lead all the way: told in the status, while what ran goes on. */
  readonly problem?: { readonly error: ExpectedError; readonly part: Part }
  /** What the app waits for although nothing is wrong. */
  readonly waiting?: Trouble
  /** Findings that stop nothing. */
  readonly warnings?: readonly Issue[]
  /** What an engine knows of volumes beside what every engine does. */
  readonly volumes?: readonly VolumeWords[]
}

export interface VolumeWords {
  readonly path: string
  readonly phase: NonNullable<VolumeStatus['phase']>
  /** Capacity that the volume has, in bytes; undefined before it is bound. */
  readonly capacityBytes: bigint | undefined
  /** Why it is not ready, or what its growing waits for. */
  readonly message: string | undefined
}

/** What a revision is taken from. */
export interface RevisionBasis {
  readonly digest: Digest
  readonly more: unknown
}
