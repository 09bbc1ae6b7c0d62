/**
 * What the preflight pod is told and what it answers: the contract between the renderer, the program in the pod
 * (`src/preflight`) and the planner. Versioned, since a pod may outlive the controller that made it.
 */

import { printable } from '../../errors.ts'

/** Told as JSON in the environment variable `FAIRLEAD_PREFLIGHT`. */
export interface PreflightTask {
  readonly version: 1
  /** Where the app's image is mounted. Absent: it is the root of the holder's container, beside ours. */
  readonly sourceRoot?: string
  readonly volumes: readonly PreflightVolume[]
  /** Under Pod Security `restricted` nothing can be given away: owners stay those of the process. */
  readonly restricted: boolean
}

export interface PreflightVolume {
  /** The volume's key, for messages. */
  readonly path: string
  /** Where it is in the image, links resolved: relative to the image's root, with a leading `/`. */
  readonly destination: string
  /** Mount point of the claim in the preflight pod. */
  readonly mount: string
  /** Folder inside the mount, which is made; '' is its root. */
  readonly subPath: string
  /** `Copy`: content of the image when empty. `Own`: only owner and mode. `Check`: nothing is written for keeps. */
  readonly action: 'Copy' | 'Own' | 'Check'
  /** The image has a folder there; without it the source being absent is right, with it an error. */
  readonly inImage: boolean
  /** Owner of a volume that the image has no folder for. */
  readonly uid: number
  readonly gid: number
  /** Destinations of nested volumes, as `destination`: only their mount point is made here. */
  readonly nested: readonly string[]
  readonly exec: 'Required' | 'Any' | 'Forbidden'
}

/**
 * The termination message, JSON, at most 1 KiB. `volumes` has one entry of two characters for each volume of the task,
 * in its order: what was done (`c` copied, `k` kept what was there, `o` owner set, `-` nothing) and what the mount
 * allows (`x` a program ran, `n` noexec, `?` not tried).
 */
export interface PreflightReport {
  readonly version: 1
  readonly volumes: readonly string[]
  /** Absent when all went well. */
  readonly error?: {
    /** A member of the closed set: SeedFailed, VolumeNotExecutable, DiskFull, PermissionDenied, InternalError. */
    readonly reason: string
    readonly message: string
    /** The volume's key. */
    readonly path?: string
  }
  /** What could not be kept: for each volume one part that `lossPrefix` begins, joined by `; `. Absent when all was. */
  readonly note?: string
}

/** How the part of a note about one volume begins. */
export function lossPrefix(path: string): string {
  return `not kept on ${printable(path)}: `
}
