/** The whole preflight: every volume is proven, then every volume is prepared, and both are told in one report. */
import { closeSync } from 'node:fs'
import { ExpectedError, printable } from '../errors.ts'
import { openDirectory, withDirectory } from '../host/open-at.ts'
import type { ByteString } from '../image/bytes.ts'
import type {
  PreflightReport,
  PreflightTask,
  PreflightVolume,
} from '../reconcile/kubernetes/preflight-task.ts'
import { seeding } from './copy.ts'
import { probeExec, sweepProbes, type ExecAnswer } from './exec-probe.ts'
import { namesOf, openBelow, type Missing } from './folders.ts'
import { lossNote, noLosses, type Losses } from './losses.ts'
import { isMountPoint, ownMounts } from './mountinfo.ts'
import { errnoOf, problemOf } from './problems.ts'
import { endSeeding, seedVolume, type SeedJob } from './seed.ts'
import type { RunTool } from './tools.ts'

type Did = 'c' | 'k' | 'o' | '-'

/** What is known of one volume so far. */
interface Progress {
  readonly volume: PreflightVolume
  /** `c` only when nothing of the seeding is left in the volume. */
  did: Did
  exec: ExecAnswer
  /** All of the image's files are in place, and the mark of the seeding is still there. */
  isCopied: boolean
  readonly losses: Losses
}

/** Never throws: whatever goes wrong is told in the report, with what was done until then. */
export async function runPreflight(task: PreflightTask, runTool: RunTool): Promise<PreflightReport> {
  const all = task.volumes.map((volume): Progress => ({
    volume,
    did: '-',
    exec: '?',
    isCopied: false,
    losses: noLosses(),
  }))
  const error = await failureIn(all, async (progress) => prove(progress))
  const unprepared = error ?? (await failureIn(all, (progress) => prepare(progress, task, runTool)))
  // The marks go last and all at once: a pod that is taken away before is followed by one that tells the same copies.
  const copied = all.filter(({ isCopied }) => isCopied)
  const unended = await failureIn(copied, (progress) => endCopy(progress, task, runTool))
  const failure = unprepared ?? unended
  const notes = all.flatMap(({ volume, losses }) => lossNote(volume.path, losses) ?? [])
  return {
    version: 1,
    volumes: all.map(({ did, exec }) => `${did}${exec}`),
    ...(failure === undefined ? {} : { error: failure }),
    ...(notes.length === 0 ? {} : { note: notes.join('; ') }),
  }
}

/** The report's error; nothing is done after the first. */
async function failureIn(
  all: readonly Progress[],
  work: (progress: Progress) => Promise<void>,
): Promise<PreflightReport['error']> {
  for (const progress of all) {
    const { path } = progress.volume
    try {
      await work(progress)
    } catch (error) {
      return { ...errorOf(problemOf(error, `volume ${printable(path)} could not be prepared`)), path }
    }
  }
  return undefined
}

/** Reason and message of anything that was thrown. */
export function errorOf(error: unknown): { readonly reason: string; readonly message: string } {
  if (error instanceof ExpectedError) return { reason: error.reason, message: error.message }
  return {
    reason: 'InternalError',
    message: printable(error instanceof Error ? error.message : String(error), 400),
  }
}

/** Before anything is copied, so that nobody waits for a copy that the app could not use. */
async function prove(progress: Progress): Promise<void> {
  const { volume } = progress
  await inFolder(volume, volume.action === 'Check' ? 'stop' : 'create', async (folder) => {
    progress.exec = probeExec(folder)
  })
  if (volume.exec === 'Required' && progress.exec === 'n')
    throw new ExpectedError(
      'VolumeNotExecutable',
      `volume ${printable(volume.path)}: programs on it can't be started, the mount refuses it; ` +
        "take noexec out of its StorageClass's mountOptions, or say exec: Any",
    )
}

async function prepare(progress: Progress, task: PreflightTask, runTool: RunTool): Promise<void> {
  if (progress.volume.action === 'Check') return
  await withJob(progress, task, runTool, async (job) => {
    const did = await seedVolume(job)
    if (did === 'c') progress.isCopied = true
    else progress.did = did
  })
}

async function endCopy(progress: Progress, task: PreflightTask, runTool: RunTool): Promise<void> {
  await withJob(progress, task, runTool, endSeeding)
  progress.did = 'c'
}

async function withJob(
  { volume, losses }: Progress,
  task: PreflightTask,
  runTool: RunTool,
  work: (job: SeedJob) => Promise<void>,
): Promise<void> {
  const source = openSource(task, volume)
  try {
    await inFolder(volume, 'create', (folder) =>
      work({
        volume,
        folder,
        source,
        leftOut: leftOutOf(task, volume),
        lenient: task.restricted,
        losses,
        runTool,
      }),
    )
  } finally {
    if (source !== undefined) closeSync(source)
  }
}

/** Runs `work` with the volume's folder inside its claim. */
async function inFolder(
  volume: PreflightVolume,
  missing: Missing,
  work: (folder: number) => Promise<void>,
): Promise<void> {
  const folder = withDirectory(openDirectory(volume.mount), (mount) => {
    // Without its claim the folder is the container's own, and all that is written there is lost with it.
    if (!isMountPoint(mount)) throw new Error(`nothing is mounted at ${volume.mount}`)
    return openClaimFolder(mount, volume, missing)
  })
  try {
    sweepProbes(folder)
    await work(folder)
  } finally {
    closeSync(folder)
  }
}

function openClaimFolder(mount: number, volume: PreflightVolume, missing: Missing): number {
  try {
    return openBelow(mount, namesOf(volume.subPath), missing)
  } catch (error) {
    if (!isNoFolder(error)) throw error
    throw new ExpectedError(
      'SeedFailed',
      `volume ${printable(volume.path)}: ${printable(volume.subPath)} in its claim is a link or a file; ` +
        'it must be a folder: take away what is there',
    )
  }
}

/** A source that is not there is an error, never an empty volume that counts as seeded (DESIGN §6). */
function openSource(task: PreflightTask, volume: PreflightVolume): number | undefined {
  if (!volume.inImage) return undefined
  try {
    return withDirectory(openDirectory(task.sourceRoot), (root) =>
      openBelow(root, namesOf(volume.destination), 'fail'),
    )
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && !isNoFolder(error)) throw error
    throw new ExpectedError(
      'SeedFailed',
      `${seeding(volume.path)}: the image has a folder ${printable(volume.destination)}, but it is not seen here; ` +
        'the node may not support image volumes',
      { retry: 'backoff' },
    )
  }
}

function isNoFolder(error: unknown): boolean {
  return ['ELOOP', 'ENOTDIR'].includes(errnoOf(error))
}

/** Nested volumes, and mounts that the cluster made below the image's folder; relative to it. */
function leftOutOf(task: PreflightTask, volume: PreflightVolume): readonly (readonly ByteString[])[] {
  const depth = namesOf(volume.destination).length
  const root = namesOf(task.sourceRoot)
  const base = [...root, ...namesOf(volume.destination)]
  const mounts = [...ownMounts().values()].map(({ mountPoint }) => mountPoint.split('/').slice(1))
  const below = mounts.filter(
    (names) => names.length > base.length && base.every((name, index) => names[index] === name),
  )
  return [
    ...volume.nested.map((path) => namesOf(path).slice(depth)),
    ...below.map((names) => names.slice(base.length)),
  ]
}
