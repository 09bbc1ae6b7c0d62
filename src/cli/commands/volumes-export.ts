/** `fairlead volumes export`: a volume as a tar, to a file or to standard output. */
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import { exportVolume } from '../../engine/local/volume-transfer.ts'
import type { StoredVolume } from '../../engine/local/volume-record.ts'
import { ExpectedError, printable } from '../../errors.ts'
import type { RunCommand } from '../command-spec.ts'
import { namedVolume } from '../named-volume.ts'
import { statePathsOf } from '../state-folder.ts'
import { UsageError } from '../usage-error.ts'

export const volumesExport: RunCommand = async (context, call) => {
  const target = call.options.text('output') ?? '-'
  if (target === '-' && context.stdout.isTerminal) {
    throw new UsageError('a tar is nothing for a terminal; name a file, or send the output on', '--output')
  }
  const { volume } = await namedVolume(call, statePathsOf(context, call))
  if (target === '-') await exportVolume(volume, context.stdout.stream)
  else await exportToFile(volume, resolve(context.cwd, target))
}

/** Under another name until it is whole; 0600, as volumes may hold secrets. */
async function exportToFile(volume: StoredVolume, file: string): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.part`
  const out = createWriteStream(temporary, { mode: 0o600, flags: 'wx' })
  const written = finished(out)
  try {
    // A file that can't be made is told as what it is, not as a pipe that broke.
    await Promise.race([written, exportVolume(volume, out)])
    out.end()
    await written
    await rename(temporary, file)
  } catch (error) {
    out.destroy()
    await written.catch(() => undefined)
    await rm(temporary, { force: true })
    throw fileError(error, file)
  }
}

function fileError(error: unknown, file: string): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR' && code !== 'EROFS') return error
  return new ExpectedError(
    'NotFound',
    `cannot write ${printable(file, 500)} (${code}); its folder must exist`,
    { path: '--output', cause: error },
  )
}
