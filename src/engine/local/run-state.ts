/** Reads what one run of a container left or is leaving: is it alive, how did it end, did its hooks pass? */
import { constants } from 'node:fs'
import { lstat, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readHookOutcome, type HookOutcome } from '../../bundle/hook-runner.ts'
import type { Termination } from '../../reconcile/types.ts'
import { ExpectedError, printable } from '../../errors.ts'
import type { InstanceRecord } from './instance-store.ts'
import { isMissing, listFolder } from './disk.ts'
import { readLogTail, readStateFile } from './state-file.ts'
import { runPaths, type StatePaths } from './paths.ts'
import { currentBootId, isSameProcess, parseProcessIdentity, type ProcessIdentity } from './process-facts.ts'
import { HOOK_FILE_MAX_BYTES, SETUP_FAILED_EXIT_CODE } from './supervise-script.ts'

export type RunState =
  /** Launched or about to be, but its supervisor has not said who it is. */
  | { readonly kind: 'launching' }
  | {
      readonly kind: 'alive'
      readonly supervisor: ProcessIdentity
      readonly containerPid: number | undefined
      readonly startedAtMs: number
    }
  | { readonly kind: 'ended'; readonly termination: Termination }
  /** The supervisor is gone without a word: killed from outside, or the host rebooted. */
  | { readonly kind: 'lost'; readonly termination: Termination }

const SIGKILL_EXIT_CODE = 137

export async function readRun(
  paths: StatePaths,
  id: string,
  run: number,
  hooks: InstanceRecord['hooks'],
): Promise<RunState> {
  const files = runPaths(paths, id, run)
  const exit = await readStateFile(files.exit)
  if (exit !== undefined) return { kind: 'ended', termination: await termination(files, exit, hooks) }
  const supervisorText = await readStateFile(files.supervisor)
  const supervisor = supervisorText === undefined ? undefined : parseProcessIdentity(supervisorText)
  if (supervisor === undefined) return { kind: 'launching' }
  const startedAtMs = await modifiedMs(files.supervisor)
  if (isSameProcess(supervisor)) {
    const pid = await readStateFile(files.pid)
    return {
      kind: 'alive',
      supervisor,
      containerPid: pid === undefined || pid === '' ? undefined : Number(pid),
      startedAtMs,
    }
  }
  // It may have written its last word between the two reads.
  const late = await readStateFile(files.exit)
  if (late !== undefined) return { kind: 'ended', termination: await termination(files, late, hooks) }
  const rebooted = supervisor.bootId !== currentBootId()
  return {
    kind: 'lost',
    termination: {
      exitCode: SIGKILL_EXIT_CODE,
      reason: rebooted ? 'Rebooted' : 'Lost',
      message: rebooted ? 'the host was restarted' : 'its supervisor was killed from outside',
      startedAtMs,
      finishedAtMs: startedAtMs,
    },
  }
}

interface ExitFile {
  readonly exitCode: number
  readonly oomKills: number
  readonly startedAt: number
  readonly finishedAt: number
}

/** Written whole by the supervisor; anything else means that the disk lost it. */
function exitOf(path: string, text: string): ExitFile {
  const match =
    /^\{"exitCode":(\d{1,3}),"oomKills":(\d+),"startedAt":(\d{1,12}),"finishedAt":(\d{1,12})\}$/.exec(
      text.trim(),
    )
  if (match === null) {
    throw new ExpectedError(
      'StateCorrupt',
      `${path} does not tell how the run ended: ${printable(text, 80)}; remove it, and the run counts as lost`,
      { path },
    )
  }
  const [exitCode, oomKills, startedAt, finishedAt] = match.slice(1).map(Number)
  return {
    exitCode: exitCode ?? 0,
    oomKills: oomKills ?? 0,
    startedAt: startedAt ?? 0,
    finishedAt: finishedAt ?? 0,
  }
}

async function termination(
  files: ReturnType<typeof runPaths>,
  text: string,
  hooks: InstanceRecord['hooks'],
): Promise<Termination> {
  const exit = exitOf(files.exit, text)
  const times = { startedAtMs: exit.startedAt * 1000, finishedAtMs: exit.finishedAt * 1000 }
  const code = exit.exitCode
  if ((await readStateFile(files.stopping)) !== undefined) {
    return { exitCode: code, reason: 'Stopped', message: 'stopped as asked', ...times }
  }
  const outcome = hooks.length > 0 ? await hookOutcome(files.hooks) : undefined
  if (outcome !== undefined && 'failed' in outcome) {
    return {
      exitCode: code,
      reason: 'HookFailed',
      message: hookMessage(outcome, hooks[outcome.failed]),
      ...times,
    }
  }
  const runtimeError = await runtimeFailure(files.runtimeLog, code, outcome)
  if (runtimeError !== undefined)
    return { exitCode: code, reason: 'RuntimeFailed', message: runtimeError, ...times }
  if (exit.oomKills > 0 && code === SIGKILL_EXIT_CODE) {
    return { exitCode: code, reason: 'OutOfMemory', message: 'killed: it reached its memory limit', ...times }
  }
  return { exitCode: code, reason: 'Exited', message: exitMessage(code), ...times }
}

/** The last lines are told, and a container's hooks may write as much as they like. */
const MAX_LOG_BYTES = 64 * 1024

/** The runtime's own failure, told apart from the app's exit: only then does its log hold an error and no hook passed. */
async function runtimeFailure(
  logFile: string,
  code: number,
  outcome: HookOutcome | undefined,
): Promise<string | undefined> {
  const log = readLogTail(logFile, MAX_LOG_BYTES) ?? ''
  const lines = log.split('\n').filter((line) => line !== '' && !line.includes('level=warning'))
  if (
    code === SETUP_FAILED_EXIT_CODE ||
    (outcome !== undefined && 'unfinished' in outcome) ||
    (code !== 0 && lines.length > 0)
  ) {
    return printable(lines.at(-1) ?? 'the container could not be started', 400)
  }
  return undefined
}

/** Results lie in a folder that the container could write: nothing is followed, only small regular files are read. */
export async function hookOutcome(dir: string): Promise<HookOutcome> {
  const files: Record<string, string> = {}
  for (const name of await listFolder(dir)) {
    const content = await readSmallRegularFile(join(dir, name))
    if (content !== undefined) files[name] = content
  }
  return readHookOutcome(files)
}

async function readSmallRegularFile(path: string): Promise<string | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if (!(await handle.stat()).isFile()) return undefined
      const buffer = Buffer.alloc(HOOK_FILE_MAX_BYTES)
      const { bytesRead } = await handle.read(buffer, 0, HOOK_FILE_MAX_BYTES, 0)
      return buffer.toString('utf8', 0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    // A link, a socket, a file without any right: nothing that our runner left.
    if (
      isMissing(error) ||
      ['ELOOP', 'ENXIO', 'EACCES', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')
    )
      return undefined
    throw error
  }
}

/** Whether a regular file is there, without following or opening it: the container may have put anything there. */
export async function isRegularFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile()
  } catch {
    return false
  }
}

function hookMessage(
  outcome: Extract<HookOutcome, { readonly failed: number }>,
  hook: InstanceRecord['hooks'][number] | undefined,
): string {
  const how = outcome.timedOut
    ? 'ran past its timeout and was killed'
    : `ended with exit code ${outcome.code ?? 'unknown'}`
  const said =
    outcome.stderr.trim() === ''
      ? 'it wrote nothing to stderr'
      : `stderr: ${printable(outcome.stderr.trim(), 600)}`
  return `${hook?.field ?? 'a hook'} (${printable(hook?.path ?? 'unknown')}) ${how}; ${said}`
}

function exitMessage(code: number): string {
  if (code > 128 && code < 165) return `ended by signal ${code - 128}`
  return code === 0 ? 'ended by itself' : `ended with exit code ${code}`
}

async function modifiedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}
