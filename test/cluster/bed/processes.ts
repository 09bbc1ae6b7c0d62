/**
 * The processes of one run: each with its log and its identity (pid, start time) below the root, so that they can be
 * stopped by pid, by us or by a later sweep.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isSameProcess } from '../../../src/engine/local/process-facts.ts'
import type { ProcessIdentity } from '../../../src/engine/local/process-facts.ts'
import { identityLine, livingProcess } from './root.ts'

export interface ProcessSpec {
  /** Names the log `logs/NAME.log` and the identity `processes/NAME`. */
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Asked every 50 ms until true; the process counts as started then. */
  readonly ready?: () => Promise<boolean>
  readonly readyWithinMs?: number
}

const POLL_MS = 50
const READY_WITHIN_MS = 60_000
const TERM_WITHIN_MS = 10_000

/** Starts a process in a session of its own (Ctrl-C of a terminal is for us alone) and waits until it is ready. */
export async function startProcess(root: string, spec: ProcessSpec): Promise<number> {
  const { child, pid } = await launch(root, spec)
  const identity = path.join(root, 'processes', spec.name)
  await writeFile(identity, identityLine(pid) ?? '')
  const deadline = performance.now() + (spec.readyWithinMs ?? READY_WITHIN_MS)
  while (spec.ready !== undefined && !(await spec.ready().catch(() => false))) {
    const ended = child.exitCode !== null || child.signalCode !== null
    if (ended || performance.now() > deadline) throw await failure(root, spec.name, ended)
    await delay(POLL_MS)
  }
  return pid
}

async function launch(root: string, spec: ProcessSpec) {
  await mkdir(path.join(root, 'processes'), { recursive: true })
  await mkdir(path.join(root, 'logs'), { recursive: true })
  const log = openSync(logFile(root, spec.name), 'a')
  const [program, ...args] = spec.command
  const child = spawn(program, args, {
    cwd: spec.cwd ?? root,
    env: { PATH: process.env['PATH'] ?? '', HOME: root, TMPDIR: root, ...spec.env },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  await once(child, 'spawn')
  // A bed that is left running keeps nobody alive who is otherwise done.
  child.unref()
  if (child.pid === undefined) throw new Error(`${spec.name} did not start`)
  return { child, pid: child.pid }
}

async function failure(root: string, name: string, ended: boolean): Promise<Error> {
  const log = await readFile(logFile(root, name), 'utf8').catch(() => '')
  const words = log.trimEnd().split('\n').slice(-25).join('\n')
  return new Error(`${name} ${ended ? 'ended before it was ready' : 'was not ready in time'}:\n${words}`)
}

export function logFile(root: string, name: string): string {
  return path.join(root, 'logs', `${name}.log`)
}

/** Pid of a started process; undefined when it is gone. */
export async function pidOf(root: string, name: string): Promise<number | undefined> {
  return (await livingProcess(path.join(root, 'processes', name)))?.pid
}

/** Stops one by name: asks, and after ten seconds insists. Fine when it is gone already. */
export async function stopProcess(
  root: string,
  name: string,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  const file = path.join(root, 'processes', name)
  const identity = await livingProcess(file)
  if (identity !== undefined) await end(identity, signal)
  await rm(file, { force: true })
}

/** Stops what is left, all at once. */
export async function stopAllProcesses(
  root: string,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  const names = await readdir(path.join(root, 'processes')).catch(() => [])
  await Promise.all(names.map((name) => stopProcess(root, name, signal)))
}

async function end(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  signalProcess(identity, signal)
  const insistAt = performance.now() + TERM_WITHIN_MS
  const deadline = insistAt + TERM_WITHIN_MS
  let insisted = false
  while (isSameProcess(identity)) {
    const now = performance.now()
    if (!insisted && now > insistAt) {
      signalProcess(identity, 'SIGKILL')
      insisted = true
    }
    if (now > deadline) throw new Error(`process ${identity.pid} does not end`)
    await delay(20)
  }
}

function signalProcess(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    if (isSameProcess(identity)) process.kill(identity.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
