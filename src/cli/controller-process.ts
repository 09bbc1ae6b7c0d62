/**
 * The controller behind the commands: is one there, starting one in the background, and what to say when it does not
 * stay. Two at once are no danger: the lock lets only one of them in.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import { ensureFolder, readJson } from '../engine/local/disk.ts'
import { corruptState, readLogTail } from '../engine/local/state-file.ts'
import { takeLock } from '../engine/local/lock.ts'
import type { StatePaths } from '../engine/local/paths.ts'
import { isSameProcess } from '../engine/local/process-facts.ts'
import { ExpectedError, printable } from '../errors.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import type { ControllerInfo } from './run-controller.ts'

const LOG_TAIL_LINES = 8
const LOG_TAIL_CHARS = 16 * 1024

/** A controller that this process started. */
export interface StartedController {
  hasEnded(): boolean
}

/** The controller that serves this state folder, as it says itself; undefined when that process is gone. */
export async function liveController(paths: StatePaths): Promise<ControllerInfo | undefined> {
  const info = (await readJson(paths.controllerInfo)) as ControllerInfo | undefined
  return info !== undefined && isSameProcess(info) ? info : undefined
}

/** Whether some controller has the lock, also one that has not said yet who it is. Takes the lock for a moment. */
export async function isLockHeld(paths: StatePaths): Promise<boolean> {
  const lock = await takeLock(paths.controllerLock, { wait: false })
  await lock?.release()
  return lock === undefined
}

/** A running controller keeps its runtime: an option that had no effect would be ignored in silence. */
export async function refuseOtherRuntime(paths: StatePaths, call: CommandCall): Promise<void> {
  const runtime = call.options.text('runtime')
  const live = runtime === undefined ? undefined : await liveController(paths)
  if (live === undefined || runtime === undefined || live.runtime === runtime) return
  const message = `the controller that runs (pid ${live.pid}) starts containers with ${live.runtime}, not ${runtime}; end it with SIGTERM first, containers keep running`
  throw new ExpectedError('ControllerRunning', message, { path: '--runtime' })
}

/** Starts one in the background unless one runs; it ends by itself once no app is left. */
export async function ensureController(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
): Promise<void> {
  if ((await liveController(paths)) === undefined) await startController(context, call, paths)
}

/** The controller works in `/`: a relative path to the configuration would name another file there. */
function controllerEnv(env: CliContext['env']): Record<string, string | undefined> {
  const config = env['FAIRLEAD_CONFIG']
  return config === undefined ? { ...env } : { ...env, FAIRLEAD_CONFIG: resolve(config) }
}

export async function startController(
  context: CliContext,
  call: CommandCall,
  paths: StatePaths,
): Promise<StartedController> {
  const runtime = call.options.text('runtime')
  const args = [
    // The same memory settings as ours.
    ...process.execArgv,
    context.mainFile,
    'controller',
    '--engine',
    'local',
    '--exit-when-idle',
    '--state',
    paths.root,
  ]
  if (runtime !== undefined) args.push('--runtime', runtime)
  await ensureFolder(paths.root)
  const log = await openLog(paths.controllerLog)
  try {
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      cwd: '/',
      env: controllerEnv(context.env),
    })
    let ended = false
    child.once('exit', () => {
      ended = true
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    child.unref()
    return { hasEnded: () => ended }
  } finally {
    await log.close()
  }
}

/** Never waits for somebody to read, as a FIFO would have it. */
async function openLog(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    return await open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EISDIR' || code === 'ENXIO' || code === 'ELOOP')
      throw corruptState(path, 'is no plain file', error)
    throw error
  }
}

/** For when controllers do not stay: the last words of the last one. */
export function controllerUnavailable(paths: StatePaths): ExpectedError {
  const log = readLogTail(paths.controllerLog, LOG_TAIL_CHARS) ?? ''
  const lines = log.split('\n').filter((line) => line !== '')
  const words = lines.slice(-LOG_TAIL_LINES).map((line) => printable(line, 300))
  const said = words.length === 0 ? 'it wrote nothing' : `its last words: ${words.join(' | ')}`
  return new ExpectedError(
    'ControllerUnavailable',
    `the controller does not stay up; ${said} (${paths.controllerLog})`,
    { retry: 'backoff' },
  )
}
