/** Runs bin/fairlead on a private state folder and shows what it says. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from '../lib/run.ts'
import { showCommand, showOutput } from './stage.ts'

const FAIRLEAD = path.join(import.meta.dirname, '../../bin/fairlead')
const ENDS_WITHIN_MS = 15_000

export class FairleadCli {
  readonly #state: string
  /** Commands that have not ended yet: an interrupted demo must end them before it looks at what is there. */
  readonly #running = new Set<ChildProcess>()
  #isStopping = false

  constructor(state: string) {
    this.#state = state
  }

  /** Runs a command that must succeed; shows it and what it prints. Returns its stdout. */
  async run(args: readonly string[], words = args.join(' ')): Promise<string> {
    showCommand(`fairlead ${words}`)
    const chunks: Buffer[] = []
    const child = this.#start(args, 'pipe')
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
    const code = await this.#end(child)
    const stdout = Buffer.concat(chunks).toString()
    showOutput(stdout)
    if (code !== 0) throw new Error(`fairlead ${words}: exit code ${String(code)}`)
    return stdout
  }

  /** Runs a command with the reader's terminal, so that progress is shown as it is. */
  async watch(args: readonly string[], words = args.join(' ')): Promise<void> {
    showCommand(`fairlead ${words}`)
    const code = await this.#end(this.#start(args, 'inherit'))
    if (code !== 0) throw new Error(`fairlead ${words}: exit code ${String(code)}`)
  }

  #start(args: readonly string[], stdout: 'pipe' | 'inherit'): ChildProcess {
    if (this.#isStopping) throw new Error('the demo is being stopped')
    const child = spawn(FAIRLEAD, args, {
      env: { ...process.env, ...this.#environment() },
      stdio: ['ignore', stdout, 'inherit'],
    })
    this.#running.add(child)
    return child
  }

  async #end(child: ChildProcess): Promise<number | null> {
    try {
      return await new Promise((resolve, reject) => {
        child.on('error', reject)
        child.on('close', resolve)
      })
    } finally {
      this.#running.delete(child)
    }
  }

  /** Ends all apps of the private state, their data too, and the controller with them. */
  async stopAll(names: readonly string[]): Promise<void> {
    this.#isStopping = true
    for (const child of this.#running) child.kill('SIGKILL')
    while (this.#running.size > 0) await delay(20)
    await run(FAIRLEAD, ['down', ...names, '--volumes'], { env: this.#environment() })
    const pid = await this.#controllerPid()
    if (pid === undefined) return
    process.kill(pid, 'SIGTERM')
    const deadline = performance.now() + ENDS_WITHIN_MS
    while (isAlive(pid)) {
      if (performance.now() > deadline) process.kill(pid, 'SIGKILL')
      await delay(20)
    }
  }

  /** The controller in the background names itself in its state folder, and ends by itself when no app is left. */
  async #controllerPid(): Promise<number | undefined> {
    try {
      const text = await readFile(path.join(this.#state, 'controller.json'), 'utf8')
      const { pid } = JSON.parse(text) as { readonly pid: number }
      return isAlive(pid) ? pid : undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #environment(): Readonly<Record<string, string>> {
    return { FAIRLEAD_STATE: this.#state }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
