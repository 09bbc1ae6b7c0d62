/** What the suite asks of an unpacker: to open once, then to unpack one image of a layout after the other. */
import type { LayerLimits } from '../../../../src/rootfs/types.ts'
import type { Room } from './room.ts'

/** One image to unpack. */
export interface Job {
  /** Path of the layout inside the room. */
  readonly layout: string
  /** The same as this process sees it. */
  readonly layoutSeen: string
  readonly tag: string
  /** Letters, digits and `-`; unique in the session. */
  readonly id: string
  /** For tools that have such. */
  readonly limits?: Partial<LayerLimits> | undefined
}

/** Where an unpacker left a tree. */
export interface Unpacked {
  /** Absolute, as this process sees it: below `/proc/PID/root` where the tree is a mount inside the tool's room. */
  readonly root: string
}

/** The tool refused the image or broke: one printable line without anything of this machine. */
export interface Failure {
  readonly failure: string
}

export interface ToolSession {
  unpack(job: Job): Promise<Unpacked | Failure>
}

export interface Tool {
  readonly name: string
  /** Undefined: the tool is not installed. */
  version(): Promise<string | undefined>
  /** Everything that the session starts or mounts goes away with the room. */
  open(room: Room): Promise<ToolSession>
}
