/**
 * The few programs that do what Node can't: `cp` keeps xattrs, special files and exact times, `touch` sets exact times,
 * `sync` brings a whole file system to its disk. They are those of Fairlead's own image; an app's image may have none, or
 * others (rule V11).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { ExpectedError } from '../errors.ts'

export const TOOLS = ['cp', 'touch', 'sync'] as const
export type Tool = (typeof TOOLS)[number]

export interface ToolRun {
  readonly tool: Tool
  readonly args: readonly string[]
  /** Open folders; the tool sees them as /proc/self/fd/3, /proc/self/fd/4 and so on. */
  readonly folders: readonly number[]
  /** One line of what the tool says. */
  readonly onLine?: (line: string) => void
}

/** Runs a tool; returns whether it said that it did all. */
export type RunTool = (run: ToolRun) => Promise<boolean>

/** When `signal` fires a tool is ended, and every run from then on fails. */
export function toolRunner(signal: AbortSignal): RunTool {
  return async ({ tool, args, folders, onLine }) => {
    if (signal.aborted) throw stopped()
    const child = spawn(tool, [...args], {
      stdio: ['ignore', 'ignore', 'pipe', ...folders],
      // Words of one language, and nothing that somebody put into the environment.
      env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
    })
    const closed = once(child, 'close')
    const end = () => void child.kill('SIGKILL')
    signal.addEventListener('abort', end)
    const lines = child.stderr === null ? undefined : createInterface({ input: child.stderr })
    lines?.on('line', onLine ?? (() => undefined))
    try {
      const [code] = (await closed) as [number | null]
      if (signal.aborted) throw stopped()
      return code === 0
    } finally {
      signal.removeEventListener('abort', end)
    }
  }
}

function stopped(): ExpectedError {
  return new ExpectedError('SeedFailed', 'the preflight was stopped before it was done; it is done again', {
    retry: 'backoff',
  })
}
