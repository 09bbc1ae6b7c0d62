/** Everything that can be told about a folder's content, comparable: two equal pictures are two equal folders. */
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import path from 'node:path'
import { runToEnd } from './temporary.ts'

export interface PictureOptions {
  /** Names directly below the folder that do not count. */
  readonly without?: readonly string[]
  /** Paths whose modification time does not count. */
  readonly timeless?: readonly string[]
}

/** One line for each file, by path, `.` first: type, mode, owner, times, content, links, xattrs. */
export async function picture(dir: string, options: PictureOptions = {}): Promise<Record<string, string>> {
  const lines: Record<string, string> = {}
  const firstNames = new Map<bigint, string>()
  for (const name of ['.', ...(await namesBelow(dir, '')).toSorted()]) {
    if (options.without?.includes(name.split('/')[0] ?? '') === true) continue
    const place = at(dir, name)
    const stats = await lstat(place, { bigint: true })
    const first = firstNames.get(stats.ino)
    if (stats.nlink > 1n && !stats.isDirectory()) firstNames.set(stats.ino, first ?? name)
    const content = stats.isFile()
      ? (await readFile(place)).toString('base64')
      : stats.isSymbolicLink()
        ? `-> ${await readlink(place)}`
        : ''
    lines[name] = [
      stats.mode.toString(8),
      `${stats.uid}:${stats.gid}`,
      options.timeless?.includes(name) === true ? '' : stats.mtimeNs,
      content,
      first === undefined ? '' : `= ${first}`,
      ...(await xattrs(dir, name)),
    ].join(' ')
  }
  return lines
}

/** Names are bytes, kept as one character each, since some are no text. */
function at(dir: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')])
}

async function namesBelow(dir: string, base: string): Promise<string[]> {
  const names: string[] = []
  for (const entry of await readdir(at(dir, base), { withFileTypes: true, encoding: 'latin1' })) {
    const name = path.join(base, entry.name)
    names.push(name, ...(entry.isDirectory() ? await namesBelow(dir, name) : []))
  }
  return names
}

/** In hexadecimal. A name that is no text can't be given to a program, so it is looked at by find. */
async function xattrs(dir: string, name: string): Promise<string[]> {
  const inode = String((await lstat(at(dir, name))).ino)
  const getfattr = ['getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', '{}']
  const { stdout } = await runToEnd(['find', dir, '-inum', inode, '-exec', ...getfattr, ';', '-quit'])
  return stdout
    .split('\n')
    .filter((line) => line.includes('='))
    .toSorted()
}
