/** Runs the command line inside the test: same parser, same commands, streams that are kept. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { CommandTree } from '../../src/cli/commands.ts'
import { DEFAULT_COLUMNS, type CliContext, type ConnectCluster, type Output } from '../../src/cli/context.ts'
import { runCli } from '../../src/cli/run-cli.ts'

export interface RunOptions {
  readonly input?: string | Buffer
  readonly inputIsTerminal?: boolean
  readonly outputIsTerminal?: boolean
  readonly errorIsTerminal?: boolean
  readonly columns?: number
  readonly env?: Readonly<Record<string, string>>
  readonly isRoot?: boolean
  readonly signal?: AbortSignal
  /** A program to start instead of a controller. */
  readonly mainFile?: string
  readonly now?: () => number
  /** Another program's commands, such as the kubectl plugin's. */
  readonly tree?: CommandTree
  /** A cluster instead of the kubeconfig's. */
  readonly connectCluster?: ConnectCluster
  /** Called with each piece of the answer, for commands that go on. */
  readonly onStdout?: (text: string) => void
  readonly onStderr?: (text: string) => void
}

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly bytes: Buffer
}

/** A private folder as working directory, with `state` in it as the state folder. */
export class Desk {
  readonly dir: string
  readonly state: string

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'fairlead-cli-'))
    this.state = join(this.dir, 'state')
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const stdout = new Kept(options.onStdout)
    const stderr = new Kept(options.onStderr)
    const env = { FAIRLEAD_STATE: this.state, PATH: process.env['PATH'], ...options.env }
    const stdin = Object.assign(Readable.from([Buffer.from(options.input ?? '')]), {
      isTTY: options.inputIsTerminal ?? false,
    })
    const columns = options.columns ?? DEFAULT_COLUMNS
    const context: CliContext = {
      stdin,
      stdout: outputOf(stdout, options.outputIsTerminal ?? false, columns),
      stderr: outputOf(stderr, options.errorIsTerminal ?? false, columns),
      env,
      cwd: this.dir,
      isRoot: options.isRoot ?? true,
      mainFile: options.mainFile ?? join(this.dir, 'no-such-main.js'),
      now: options.now ?? Date.now,
      signal: options.signal ?? new AbortController().signal,
      ...(options.connectCluster === undefined ? {} : { connectCluster: options.connectCluster }),
    }
    const code = await runCli(context, args, options.tree)
    return { code, stdout: stdout.text(), stderr: stderr.text(), bytes: stdout.bytes() }
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true })
  }
}

class Kept extends Writable {
  readonly #chunks: Buffer[] = []
  readonly #tell: ((text: string) => void) | undefined

  constructor(tell: ((text: string) => void) | undefined) {
    super()
    this.#tell = tell
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk)
    this.#tell?.(chunk.toString('utf8'))
    done()
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  text(): string {
    return this.bytes().toString('utf8')
  }
}

function outputOf(stream: Kept, isTerminal: boolean, columns: number): Output {
  return { write: (text) => void stream.write(text), stream, isTerminal, columns }
}
