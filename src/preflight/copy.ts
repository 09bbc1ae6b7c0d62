/** What is left to programs: the copy itself, the root folder's own attributes, exact times, and the way to the disk. */
import { ExpectedError, printable } from '../errors.ts'
import { copyError, readCopyLine, type CopyLog } from './losses.ts'
import type { CopyJob, SeedJob } from './seed-job.ts'
import { TREE } from './seed-folder.ts'

/** How a tool sees the folders that it is given. */
const [FIRST, SECOND] = ['/proc/self/fd/3/.', '/proc/self/fd/4']
/** Archive mode keeps quiet about xattrs that it can't keep, unless they are asked for by name. */
const ARCHIVE = ['--archive', '--preserve=xattr', '--no-target-directory']

/** Copies the image's folder to `tree` in the seed folder, with everything about it. */
export async function copyFolder(job: CopyJob, seed: number): Promise<void> {
  const { volume, source } = job
  const to = `${SECOND}/${TREE}`
  const names = new Map([
    [FIRST, volume.destination],
    [to, volume.path],
  ])
  await runCopy(job, [source, seed], [...ARCHIVE, '--reflink=auto', FIRST, to], names)
}

/** Gives the volume's own folder what `tree`, empty by now, was given: owner, mode, ACLs, xattrs. */
export async function copyRootAttributes(job: CopyJob, tree: number): Promise<void> {
  const to = `${SECOND}/.`
  const names = new Map([
    [FIRST, job.volume.destination],
    [to, job.volume.path],
  ])
  await runCopy(job, [tree, job.folder], [...ARCHIVE, FIRST, to], names)
}

async function runCopy(
  { runTool, volume, losses, lenient }: CopyJob,
  folders: readonly number[],
  args: readonly string[],
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const log: CopyLog = { losses, failure: undefined, full: false, excused: 0 }
  const onLine = (line: string) => readCopyLine(log, line, lenient)
  const done = await runTool({ tool: 'cp', args, folders, onLine })
  // cp ends with 1 also when all that it says is excused; nothing said is a kill.
  if (!done && (log.failure !== undefined || log.excused === 0))
    throw copyError(log, seeding(volume.path), names)
}

/** Access and modification time of one folder for another, to the nanosecond. */
export async function copyTimes(
  { runTool, lenient, volume }: SeedJob,
  from: number,
  to: number,
): Promise<void> {
  const args = ['--no-create', `--reference=${FIRST}`, `${SECOND}/.`]
  const done = await runTool({ tool: 'touch', args, folders: [from, to] })
  if (!done && !lenient)
    throw new ExpectedError('SeedFailed', `${seeding(volume.path)}: the storage refuses times of folders`)
}

/** Everything that was written to the volume's file system is on its disk afterwards. */
export async function flush({ runTool, folder, volume }: SeedJob): Promise<void> {
  const lines: string[] = []
  const onLine = (line: string) => void lines.push(line)
  const args = ['--file-system', '/proc/self/fd/3/.']
  if (await runTool({ tool: 'sync', args, folders: [folder], onLine })) return
  const said = printable((lines.at(-1) ?? '').replace(/^.*: /, ''))
  throw new ExpectedError('SeedFailed', `${seeding(volume.path)}: it does not reach the disk: ${said}`, {
    retry: 'backoff',
  })
}

export function seeding(path: string): string {
  return `volume ${printable(path)} could not be seeded from the image`
}
