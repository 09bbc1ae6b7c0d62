/**
 * Everything of one run lies below one folder, whose file `owner` says which process it belongs to. What an owner that
 * was killed left behind is found by that file and swept by whoever starts next.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  currentBootId,
  isSameProcess,
  parseProcessIdentity,
  startTicksOf,
} from '../../../src/engine/local/process-facts.ts'
import type { ProcessIdentity } from '../../../src/engine/local/process-facts.ts'

const PREFIX = 'fairlead-bed-'
const OWNER = 'owner'
/** Between mkdtemp and the owner's file lie milliseconds; a root that lacks the file for longer is abandoned. */
const UNOWNED_MS = 60_000

/** Identity of a live process as a line; undefined when it is gone. */
export function identityLine(pid: number): string | undefined {
  const startTicks = startTicksOf(pid)
  return startTicks === undefined ? undefined : `${pid} ${startTicks} ${currentBootId()}\n`
}

/** The process that a file of `identityLine` names, when it still lives. */
export async function livingProcess(file: string): Promise<ProcessIdentity | undefined> {
  const identity = parseProcessIdentity(await readFile(file, 'utf8').catch(() => ''))
  return identity !== undefined && isSameProcess(identity) ? identity : undefined
}

/** A new root of this process. The name is short: paths of sockets below it may have 107 bytes. */
export async function makeRoot(): Promise<string> {
  const root = await mkdtemp(path.join(tmpdir(), PREFIX))
  await writeFile(path.join(root, OWNER), identityLine(process.pid) ?? '')
  return root
}

/** Roots whose owners are gone. */
export async function abandonedRoots(): Promise<readonly string[]> {
  const roots = []
  for (const name of await readdir(tmpdir())) {
    const root = path.join(tmpdir(), name)
    if (name.startsWith(PREFIX) && (await isAbandoned(root))) roots.push(root)
  }
  return roots
}

async function isAbandoned(root: string): Promise<boolean> {
  const facts = await stat(root).catch(() => undefined)
  if (facts === undefined || !facts.isDirectory()) return false
  const owner = await readFile(path.join(root, OWNER), 'utf8').catch(() => undefined)
  if (owner === undefined || owner === '') return Date.now() - facts.mtimeMs > UNOWNED_MS
  return (await livingProcess(path.join(root, OWNER))) === undefined
}

export async function removeRoot(root: string): Promise<void> {
  // A process that is just ending may write a last line.
  await rm(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
}
