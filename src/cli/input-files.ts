/** What `-f` names: files, folders (their .yaml, .yml and .json files, not deeper) and standard input. */
import type { Stats } from 'node:fs'
import { createReadStream } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { MAX_TEXT_BYTES } from '../crd/yaml-source.ts'
import { printable, type Issue, type Reason } from '../errors.ts'
import type { CliContext } from './context.ts'

export interface InputFile {
  /** As typed: what messages call it. */
  readonly name: string
  readonly text: string
  /** Folder that relative paths in it start from. */
  readonly baseDir: string
}

export interface InputFiles {
  readonly files: readonly InputFile[]
  /** What could not be read; the rest is in `files`, so that everything wrong is told at once. */
  readonly issues: readonly Issue[]
}

const EXTENSIONS = ['.yaml', '.yml', '.json']
const STDIN = '-'

export async function readInputFiles(context: CliContext, names: readonly string[]): Promise<InputFiles> {
  const files: InputFile[] = []
  const issues: Issue[] = []
  const seen = new Set<string>()
  for (const name of names) {
    for (const found of await expand(context, name)) {
      if ('reason' in found) issues.push(found)
      else if (!seen.has(found.identity)) {
        seen.add(found.identity)
        const read = await readOne(context, found)
        if ('reason' in read) issues.push(read)
        else files.push(read)
      }
    }
  }
  return { files, issues }
}

interface Place {
  readonly name: string
  readonly path: string
  /** Two names of one file are one input. */
  readonly identity: string
}

async function expand(context: CliContext, name: string): Promise<readonly (Place | Issue)[]> {
  if (name === STDIN) return [{ name: 'stdin', path: STDIN, identity: STDIN }]
  const path = resolve(context.cwd, name)
  try {
    const stats = await stat(path)
    if (stats.isDirectory()) return await filesOf(name, path)
    return [{ name, path, identity: await identityOf(path, stats) }]
  } catch (error) {
    return [unreadable(name, error)]
  }
}

async function filesOf(name: string, dir: string): Promise<readonly (Place | Issue)[]> {
  const places: Place[] = []
  for (const entry of (await readdir(dir)).sort()) {
    if (!EXTENSIONS.some((extension) => entry.endsWith(extension)) || entry.startsWith('.')) continue
    const path = join(dir, entry)
    const stats = await stat(path)
    if (!stats.isDirectory())
      places.push({ name: join(name, entry), path, identity: await identityOf(path, stats) })
  }
  if (places.length > 0) return places
  return [inputIssue('NotFound', name, `holds no ${EXTENSIONS.join(', ')} file`)]
}

/** A pipe of the shell (`-f <(…)`) has a path of its own that leads nowhere. */
async function identityOf(path: string, stats: Stats): Promise<string> {
  return stats.isFile() ? realpath(path) : path
}

async function readOne(context: CliContext, { name, path }: Place): Promise<InputFile | Issue> {
  try {
    const text = await readBounded(path === STDIN ? context.stdin : createReadStream(path))
    if (text === undefined)
      return inputIssue('LimitExceeded', name, `is larger than ${MAX_TEXT_BYTES} bytes; split it`)
    return { name, text, baseDir: path === STDIN ? context.cwd : dirname(path) }
  } catch (error) {
    return unreadable(name, error)
  }
}

/** The text, or undefined when there is more of it than any resource needs. */
async function readBounded(stream: Readable): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    const buffer = Buffer.from(chunk)
    bytes += buffer.length
    if (bytes > MAX_TEXT_BYTES) return undefined
    chunks.push(buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unreadable(name: string, error: unknown): Issue {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return inputIssue('NotFound', name, 'there is no such file or folder')
  if (code === 'EACCES') return inputIssue('PermissionDenied', name, 'may not be read by this user')
  if (code === undefined) throw error
  return inputIssue('NotFound', name, `cannot be read (${code})`)
}

function inputIssue(reason: Reason, name: string, message: string): Issue {
  return { severity: 'error', reason, path: printable(name), message }
}
