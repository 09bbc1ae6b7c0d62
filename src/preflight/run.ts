/** The whole preflight: every volume is proven, then every volume is prepared, and both are told in one report. */
import { closeSync } from 'node:fs'
import { ExpectedError, printable } from '../errors.ts'
import { openDirectory, withDirectory } from '../host/open-at.ts'
import type {
  PreflightReport,
  PreflightTask,
  PreflightVolume,
} from '../reconcile/kubernetes/preflight-task.ts'
import { probeExec, sweepProbes, type ExecAnswer } from './exec-probe.ts'
import { namesOf, openBelow, type Missing } from './folders.ts'
import { lossNote, noLosses, type Losses } from './losses.ts'
import { isMountPoint } from './mountinfo.ts'
import { isNoFolder, problemOf } from './problems.ts'
import { endSeeding, seedVolume } from './seed.ts'
import type { SeedJob } from './seed-job.ts'
import { leftOutOf, openImageFolder, openSource, type Source } from './source.ts'
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
  const unproven = await failureIn(all, async (progress) => prove(progress))
  const failure = unproven ?? (await prepareAll(all, task, runTool))
  const notes = all.flatMap(({ volume, losses }) => lossNote(volume.path, losses) ?? [])
  return {
    version: 1,
    volumes: all.map(({ did, exec }) => `${did}${exec}`),
    ...(failure === undefined ? {} : { error: failure }),
    ...(notes.length === 0 ? {} : { note: notes.join('; ') }),
  }
}

/** Prepares every volume that the task wants prepared; the report's error. */
async function prepareAll(
  all: readonly Progress[],
  task: PreflightTask,
  runTool: RunTool,
): Promise<PreflightReport['error']> {
  let source: Source | undefined
  try {
    if (all.some(({ volume }) => needsImage(volume))) source = await openSource(task.sourceRoot)
    const tools: Tools = { source, lenient: task.restricted, runTool }
    const unprepared = await failureIn(all, (progress) => prepare(progress, tools))
    // The marks go last and all at once: a pod that is taken away before is followed by one that tells the same copies.
    const copied = all.filter(({ isCopied }) => isCopied)
    const unended = await failureIn(copied, (progress) => endCopy(progress, tools))
    return unprepared ?? unended
  } catch (error) {
    return errorOf(problemOf(error, "the app's image is not seen"))
  } finally {
    source?.close()
  }
}

function needsImage({ action, inImage }: PreflightVolume): boolean {
  return action !== 'Check' && inImage
}

/** What all volumes are prepared with. */
interface Tools {
  /** Undefined when no volume needs it. */
  readonly source: Source | undefined
  readonly lenient: boolean
  readonly runTool: RunTool
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

async function prepare(progress: Progress, tools: Tools): Promise<void> {
  if (progress.volume.action === 'Check') return
  await withJob(progress, tools, async (job) => {
    const did = await seedVolume(job)
    if (did === 'c') progress.isCopied = true
    else progress.did = did
  })
}

async function endCopy(progress: Progress, tools: Tools): Promise<void> {
  await withJob(progress, tools, endSeeding)
  progress.did = 'c'
}

async function withJob(
  { volume, losses }: Progress,
  { source, lenient, runTool }: Tools,
  work: (job: SeedJob) => Promise<void>,
): Promise<void> {
  const image = source === undefined ? undefined : openImageFolder(source, volume)
  const leftOut = leftOutOf(source, volume)
  try {
    await inFolder(volume, 'create', (folder) =>
      work({ volume, folder, source: image, leftOut, lenient, losses, runTool }),
    )
  } finally {
    if (image !== undefined) closeSync(image)
  }
}

/** Runs `work` with the volume's folder inside its claim. */
async function inFolder(
  volume: PreflightVolume,
  missing: Missing,
  work: (folder: number) => Promise<void>,
): Promise<void> {
  const folder = openClaimFolder(volume, missing)
  try {
    sweepProbes(folder)
    await work(folder)
  } finally {
    closeSync(folder)
  }
}

function openClaimFolder(volume: PreflightVolume, missing: Missing): number {
  try {
    return withDirectory(openDirectory(volume.mount), (mount) => {
      // Without its claim the folder is the container's own, and all that is written there is lost with it.
      if (!isMountPoint(mount)) throw new Error(`nothing is mounted at ${volume.mount}`)
      return openBelow(mount, namesOf(volume.subPath), missing)
    })
  } catch (error) {
    if (!isNoFolder(error)) throw error
    throw new ExpectedError(
      'SeedFailed',
      `volume ${printable(volume.path)}: ${volume.subPath === '' ? 'its place' : printable(volume.subPath)} in its claim is a link or a file; ` +
        'it must be a folder: take away what is there',
    )
  }
}
