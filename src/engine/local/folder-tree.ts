/**
 * A real folder as a tree in memory, with a digest for each file. GNU tar reads it and our own reader takes its stream:
 * tar looks every name up below an open directory and follows no link, so that a folder that is alive or hostile leads
 * nowhere else, and it reads extended attributes, which Node can't. Memory holds names and digests, never content.
 */
import { spawn } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { ExpectedError, printable } from '../../errors.ts'
import { FolderArchive } from '../../rootfs/folder-archive.ts'
import { HashSink, MAX_FOLDER_HOLE_BYTES } from '../../rootfs/hash-sink.ts'
import type { LayerLimits, TreeNode } from '../../rootfs/types.ts'
import { TarWords } from './tar-words.ts'

export interface FolderTree {
  readonly tree: TreeNode
  /** What could not be read as it was, because it changed meanwhile or is nothing that a tree has (sockets). */
  readonly notes: readonly string[]
}

export interface FolderTreeOptions {
  /** How the folder is called in errors and notes. */
  readonly words: string
  readonly limits?: LayerLimits
  /** Of sparse files: those with more holes than that get no digest; see `HashSink`. */
  readonly maxHoleBytes?: number
  readonly signal: AbortSignal
}

/** Descriptor of the folder in tar's process. */
const FOLDER_FD = 3

/** GNU tar's own words for times of reading and changing are left out: nothing compares them, and they are most of a header. */
const TAR_ARGS = [
  '--create',
  '--format=pax',
  '--pax-option=delete=atime,delete=ctime',
  '--numeric-owner',
  '--sparse',
  '--xattrs',
  '--xattrs-include=*',
  '--one-file-system',
  '--atime-preserve=system',
  `--directory=/proc/self/fd/${FOLDER_FD}`,
  '--file=-',
  '.',
]

/**
 * Reads everything below `path` on its file system. A link at `path` itself is followed: it is the caller's. Throws
 * NotFound, PermissionDenied, LimitExceeded.
 */
export async function readFolderTree(path: string, options: FolderTreeOptions): Promise<FolderTree> {
  const fd = openFolder(path, options.words)
  try {
    return await readOpenFolder(fd, options)
  } finally {
    closeSync(fd)
  }
}

/** The same for a directory that is open already; the descriptor stays the caller's. */
export async function readOpenFolder(fd: number, options: FolderTreeOptions): Promise<FolderTree> {
  const child = spawn('tar', TAR_ARGS, {
    stdio: ['ignore', 'pipe', 'pipe', fd],
    // Its words are read by us: they must not be translated.
    env: { ...process.env, LC_ALL: 'C' },
    signal: options.signal,
    killSignal: 'SIGKILL',
  })
  const words = new TarWords()
  child.stderr?.on('data', (chunk: Buffer) => words.add(chunk))
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? SIGNALLED))
  })
  // Whoever reads the stream fails first; this one is asked afterwards.
  ended.catch(() => undefined)
  try {
    const archive = new FolderArchive(
      new HashSink(options.maxHoleBytes ?? MAX_FOLDER_HOLE_BYTES),
      options.limits,
    )
    for await (const chunk of child.stdout ?? []) archive.write(chunk as Buffer)
    const code = await ended
    const notes = words.notes()
    if (code > TAR_DIFFERS && (words.trouble !== undefined || notes.length === 0))
      throw unreadable(options.words, words, code)
    return { tree: archive.finish(), notes }
  } catch (error) {
    child.kill('SIGKILL')
    await ended.catch(() => undefined)
    options.signal.throwIfAborted()
    throw inFolder(error, options.words)
  }
}

const SIGNALLED = 137
/** tar's exit code where files changed while they were read; the archive is whole all the same. */
const TAR_DIFFERS = 1

function openFolder(path: string, words: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT')
      throw new ExpectedError('NotFound', `there is no folder ${words}`, { cause: error })
    if (code === 'ENOTDIR') throw new ExpectedError('NotFound', `${words} is no folder`, { cause: error })
    throw error
  }
}

function unreadable(folder: string, words: TarWords, code: number): ExpectedError {
  const why = words.trouble ?? `tar ended with exit code ${code}`
  return new ExpectedError(
    'PermissionDenied',
    `${folder} cannot be read: ${why}; run the command as root, who may read all of it`,
  )
}

/** Errors of the reader speak of a layer, and there is none. */
function inFolder(error: unknown, folder: string): unknown {
  if (!(error instanceof ExpectedError) || !/^layer 0\b/.test(error.message)) return error
  const message = `${folder}${error.message.replace(/^layer 0/, '')}`
  return new ExpectedError(error.reason, printable(message, 1000), { cause: error })
}
