/** Runs programs for the build scripts and the demo. */
import { spawn } from 'node:child_process'

export interface RunResult {
  /** The exit code; 128 + signal number is not made up here: a killed program has code null. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: Buffer
}

/** Runs a program to its end, whatever the end is. Rejects only when it cannot be started. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  // A program that does not read its input closes the pipe: that is its right.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() })
    })
  })
}

/** Runs a program that must succeed; returns its stdout. Throws with the end of stderr otherwise. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(program, args, options)
  if (result.code === 0) return result.stdout
  const words = result.stderr.trim().split('\n').slice(-15).join('\n')
  throw new Error(`${program} ${args.join(' ')}: exit code ${String(result.code)}\n${words}`)
}
