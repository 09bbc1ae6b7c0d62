/** `fairlead volumes import`: fills a volume from a tar, whole or not at all. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { importVolume } from '../../engine/local/volume-transfer.ts'
import { printable } from '../../errors.ts'
import type { RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { volumeToFill } from '../named-volume.ts'
import { statePathsOf } from '../state-folder.ts'
import { UsageError } from '../usage-error.ts'
import { refuseUsedVolume } from '../volume-use.ts'

export const volumesImport: RunCommand = async (context, call) => {
  const paths = statePathsOf(context, call)
  const { volume, words, rest } = await volumeToFill(call, paths)
  await refuseUsedVolume(paths, volume)
  const input = await inputOf(context, rest[0] ?? '-')
  try {
    await importVolume(volume, input, { replace: call.options.flag('replace') })
  } finally {
    input.destroy()
  }
  context.stdout.write(`filled volume ${words}\n`)
}

async function inputOf(context: CliContext, source: string): Promise<Readable> {
  if (source === '-') {
    if (context.stdin.isTTY === true)
      throw new UsageError('standard input is a terminal; name a tar file', 'file')
    return context.stdin
  }
  const file = resolve(context.cwd, source)
  try {
    // Opened before anything is touched, so that a slip in the name is told as one.
    const handle = await open(file, 'r')
    return createReadStream(file, { fd: handle })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
    throw new UsageError('there is no such file', printable(source, 500), 'NotFound')
  }
}
