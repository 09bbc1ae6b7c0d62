/**
 * What removing paths gives back: blocks on disk, of inodes all of whose names go. find(1) walks folders: it knows names
 * that are no text and folders deeper than a path can name.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat } from 'node:fs/promises'
import { ExpectedError } from '../../../errors.ts'
import { isMissing } from '../disk.ts'

const BLOCK_BYTES = 512

/** One name of an inode, as `find -printf` or lstat tell it. */
interface Name {
  readonly inode: string
  readonly links: number
  readonly blocks: number
  readonly isDirectory: boolean
}

/** Bytes for each path, in the same order; what several of the paths share counts for the last of them. */
export async function bytesFreed(paths: readonly string[], signal: AbortSignal): Promise<readonly number[]> {
  const seen = new Map<string, number>()
  const bytes: number[] = []
  for (const path of paths) {
    let sum = 0
    for await (const { inode, links, blocks, isDirectory } of namesBelow(path, signal)) {
      const names = (seen.get(inode) ?? 0) + 1
      const isWhole = isDirectory || names >= links
      if (isWhole) seen.delete(inode)
      else seen.set(inode, names)
      if (isWhole) sum += blocks * BLOCK_BYTES
    }
    bytes.push(sum)
  }
  return bytes
}

/** `device:inode` of every name in the folder and below; several names of one file are told as often. None if it is gone. */
export async function* inodesBelow(path: string, signal: AbortSignal): AsyncGenerator<string> {
  for await (const { inode } of namesBelow(path, signal)) yield inode
}

/** A blob is one name: a program for each of a thousand of them would take longer than all the rest. */
async function* namesBelow(path: string, signal: AbortSignal): AsyncGenerator<Name> {
  const stats = await lstat(path).catch(nothingIfMissing)
  // Of a dry run, which holds nobody up.
  if (stats === undefined) return
  if (stats.isDirectory()) yield* found(path, signal)
  else
    yield {
      inode: `${stats.dev}:${stats.ino}`,
      links: stats.nlink,
      blocks: stats.blocks,
      isDirectory: false,
    }
}

function nothingIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

async function* found(path: string, signal: AbortSignal): AsyncGenerator<Name> {
  const child = spawn('find', [path, '-printf', '%D:%i %n %b %y\\n'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    signal,
  })
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
  failed.catch(() => undefined)
  const ended = once(child, 'close')
  let rest = ''
  for await (const chunk of child.stdout) {
    const lines = `${rest}${String(chunk)}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines.map(nameOf)
  }
  try {
    await Promise.race([ended, failed])
  } catch (error) {
    signal.throwIfAborted()
    throw new ExpectedError('RuntimeMissing', 'find is not installed; on Debian: apt-get install findutils', {
      cause: error,
    })
  }
}

function nameOf(line: string): Name {
  const [inode = '', links, blocks, type] = line.split(' ')
  return { inode, links: Number(links), blocks: Number(blocks), isDirectory: type === 'd' }
}
