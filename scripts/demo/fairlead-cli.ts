/** Runs bin/fairlead on a private state folder and shows what it says. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from '../lib/run.ts'
import { showCommand, showOutput } from './stage.ts'

const FAIRLEAD = path.join(import.meta.dirname, '../../bin/fairlead')
const ENDS_WITHIN_MS = 15_000

export class FairleadCli {
  readonly #state: string

  constructor(state: string) {
    this.#state = state
  }

  /** Runs a command that must succeed; shows it and, unless it is to be quiet, what it prints. */
  async run(args: readonly string[], words = args.join(' ')): Promise<string> {
    showCommand(`fairlead ${words}`)
    const result = await run(FAIRLEAD, args, { env: this.#environment() })
    showOutput(result.stdout)
    if (result.code === 0) return result.stdout
    showOutput(result.stderr)
    throw new Error(`fairlead ${words}: exit code ${String(result.code)}`)
  }

  /** Runs a command with the reader's terminal, so that progress is shown as it is. */
  async watch(args: readonly string[], words = args.join(' ')): Promise<void> {
    showCommand(`fairlead ${words}`)
    const child = spawn(FAIRLEAD, args, {
      env: { ...process.env, ...this.#environment() },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    if (code !== 0) throw new Error(`fairlead ${words}: exit code ${String(code)}`)
  }

  /** Ends all apps of the private state, their data too, and the controller with them. */
  async stopAll(names: readonly string[]): Promise<void> {
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
