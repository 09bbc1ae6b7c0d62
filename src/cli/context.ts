/**
 * What a command sees of the outside: streams, environment, working folder, interruption. Commands get it as an
 * argument, so that they run alike under `main` and under a test.
 */
import type { Readable, Writable } from 'node:stream'
import type { KubeClient } from '../engine/kubernetes/api/types.ts'

/** One of the two output streams. */
export interface Output {
  write(text: string): void
  /** For bytes that must not be decoded: tar streams, logs. */
  readonly stream: Writable
  readonly isTerminal: boolean
  /** Characters in a line; 80 where nobody knows. */
  readonly columns: number
}

export interface CliContext {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly isRoot: boolean
  /** The program's own file, to start a controller in the background. */
  readonly mainFile: string
  readonly now: () => number
  /**
   * Fires at the first SIGINT or SIGTERM. Asking for it takes the signals over: a command that never asks is ended by
   * them as every program is.
   */
  readonly signal: AbortSignal
  /** Absent where there is none but the kubeconfig's. */
  readonly connectCluster?: ConnectCluster
}

/** Which cluster is meant: the kubeconfig's file and its context, undefined for the usual ones. */
export interface ClusterChoice {
  readonly path: string | undefined
  readonly context: string | undefined
}

export interface OpenCluster {
  readonly client: KubeClient
  /** Of what names none. */
  readonly namespace: string
}

export type ConnectCluster = (choice: ClusterChoice) => Promise<OpenCluster>

export const DEFAULT_COLUMNS = 80

/** Why `CliContext.signal` fired. */
export class Interruption extends Error {
  override readonly name = 'Interruption'
  readonly signalName: 'SIGINT' | 'SIGTERM'

  constructor(signalName: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signalName}`)
    this.signalName = signalName
  }
}
