/**
 * What removing paths gives back: blocks on disk, of inodes all of whose names go. find(1) walks: it knows names that
 * are no text and folders deeper than a path can name.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ExpectedError } from '../../../errors.ts'

const BLOCK_BYTES = 512

/** Bytes for each path, in the same order; what several of the paths share counts for the last of them. */
export async function bytesFreed(paths: readonly string[], signal: AbortSignal): Promise<readonly number[]> {
  const links = new Map<string, number>()
  const bytes: number[] = []
  for (const path of paths) {
    let sum = 0
    for await (const [device, inode, names, blocks, type] of found(path, signal)) {
      const key = `${device ?? ''}:${inode ?? ''}`
      const seen = (links.get(key) ?? 0) + 1
      const isWhole = type === 'd' || seen >= Number(names)
      if (isWhole) links.delete(key)
      else links.set(key, seen)
      if (isWhole) sum += Number(blocks) * BLOCK_BYTES
    }
    bytes.push(sum)
  }
  return bytes
}

async function* found(path: string, signal: AbortSignal): AsyncGenerator<readonly string[]> {
  const child = spawn('find', [path, '-printf', '%D %i %n %b %y\\n'], {
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
    for (const line of lines) yield line.split(' ')
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
