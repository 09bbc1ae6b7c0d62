/** Starts, stops and watches runs of a container through its supervisor script. */
import { spawn } from 'node:child_process'
import { constants, watch } from 'node:fs'
import { open } from 'node:fs/promises'
import { ExpectedError } from '../../errors.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { ensureFolder, removeFolder, writeFileAtomic } from './disk.ts'
import { readStateFile } from './state-file.ts'
import type { InstanceRecord } from './instance-store.ts'
import { instancePaths, runPaths, type StatePaths } from './paths.ts'
import { isSameProcess } from './process-facts.ts'
import { isRegularFile, readRun } from './run-state.ts'
import { containerPid, deleteContainer, killContainer, type Runtime } from './runtime.ts'
import { LOCK_BUSY_EXIT_CODE } from './supervise-script.ts'

/** How often a wait looks by itself, in case a file event was missed; the usual wake-up is the event. */
const RECHECK_MS = 250
const LAUNCH_TIMEOUT_MS = 30_000
const START_MOMENT_MS = 1000
/** After SIGKILL the kernel needs a moment; longer than this means a process stuck in the kernel. */
const KILL_TIMEOUT_MS = 30_000

/** Launches run number `run`; returns once the supervisor holds the app's lock and has said who it is. */
export async function launch(paths: StatePaths, record: InstanceRecord, run: number): Promise<void> {
  const files = runPaths(paths, record.id, run)
  // A folder without a supervisor is a launch that a crash cut off before it began.
  await removeFolder(files.dir)
  await ensureFolder(files.dir)
  const instance = instancePaths(paths, record.id)
  const log = await open(
    instance.log,
    constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW,
    0o600,
  )
  try {
    const child = spawn('/bin/sh', [instance.script, String(run)], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    child.unref()
    crashPoint(`${files.dir} (launched)`)
    let exitCode: number | null = null
    child.once('exit', (code) => {
      exitCode = code
    })
    await waitUntil(files.dir, LAUNCH_TIMEOUT_MS, async () => {
      if (exitCode === LOCK_BUSY_EXIT_CODE) {
        throw new ExpectedError(
          'VolumeInUse',
          `another container of ${record.key.namespace}/${record.key.name} is still running`,
          { retry: 'backoff' },
        )
      }
      return exitCode !== null || (await readStateFile(files.supervisor)) !== undefined
    })
    // Most containers are up in a moment: waiting for it spares everybody a look at "starting".
    await settles(
      files.dir,
      START_MOMENT_MS,
      async () => exitCode !== null || (await isUp(paths, record, run)),
    )
  } finally {
    await log.close()
  }
}

/** Stops a run: the image's StopSignal, then after the grace period SIGKILL. Returns when nothing of it is left. */
export async function stop(
  paths: StatePaths,
  runtime: Runtime,
  record: InstanceRecord,
  run: number,
): Promise<void> {
  const files = runPaths(paths, record.id, run)
  const ended = async () => (await readRun(paths, record.id, run, [])).kind !== 'alive'
  await writeFileAtomic(files.stopping, 'asked\n')
  if (!(await ended())) await killContainer(runtime, record.id, record.stopSignal)
  if (!(await settles(files.dir, record.graceSeconds * 1000, ended))) {
    await killContainer(runtime, record.id, 'KILL')
    if (!(await settles(files.dir, KILL_TIMEOUT_MS, ended))) {
      throw new ExpectedError(
        'RuntimeFailed',
        `${record.id} did not end ${KILL_TIMEOUT_MS / 1000} s after SIGKILL; a process may be stuck in the kernel`,
        {
          retry: 'backoff',
        },
      )
    }
  }
  await reap(runtime, record)
  crashPoint(`${files.dir} (stopped)`)
}

/** Makes sure that no process of the container is left, e.g. after its supervisor was killed from outside. */
export async function reap(runtime: Runtime, record: InstanceRecord): Promise<void> {
  if ((await containerPid(runtime, record.id)) !== undefined) await killContainer(runtime, record.id, 'KILL')
  await deleteContainer(runtime, record.id)
}

/** Whether the container's process is past its hooks and running the app. */
export async function isUp(paths: StatePaths, record: InstanceRecord, run: number): Promise<boolean> {
  const state = await readRun(paths, record.id, run, record.hooks)
  if (state.kind !== 'alive' || state.containerPid === undefined) return false
  if (record.hooks.length === 0) return true
  // The results are on a tmpfs that only the supervisor's mount namespace sees.
  const results = runPaths(paths, record.id, run).hookMount
  return (
    isSameProcess(state.supervisor) &&
    (await isRegularFile(`/proc/${state.supervisor.pid}/root${results}/ok`))
  )
}

async function settles(dir: string, timeoutMs: number, done: () => Promise<boolean>): Promise<boolean> {
  try {
    await waitUntil(dir, timeoutMs, done)
    return true
  } catch (error) {
    if (error instanceof ExpectedError && error.reason === 'TimedOut') return false
    throw error
  }
}

/** Waits until `done`, woken by changes in `dir` and now and then by itself; TimedOut after `timeoutMs`. */
export async function waitUntil(dir: string, timeoutMs: number, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs
  let wake = () => undefined as void
  const watcher = watch(dir, () => wake())
  watcher.on('error', () => wake())
  try {
    while (!(await done())) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0)
        throw new ExpectedError('TimedOut', `waited ${Math.round(timeoutMs / 1000)} s for ${dir}`, {
          retry: 'backoff',
        })
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(RECHECK_MS, leftMs))
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  } finally {
    watcher.close()
  }
}
