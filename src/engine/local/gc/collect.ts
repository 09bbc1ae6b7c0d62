/**
 * Removes from the image store what nobody needs. What is to go is decided and moved aside while no process can begin to
 * use it, which takes milliseconds; removing it afterwards may take its time. A crash at any point leaves either the
 * whole thing or something that the next run finishes. Volumes are nowhere near this.
 */
import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExpectedError } from '../../../errors.ts'
import { resolvedDir } from '../image-store.ts'
import { ensureFolder, listFolder, listRemoved, moveAside, removeTree, sweepTemporary } from '../disk.ts'
import { withLock } from '../lock.ts'
import type { StatePaths } from '../paths.ts'
import { markDamaged } from '../replaced-tree.ts'
import { bytesFreed } from './disk-use.ts'
import { storedItems, type StoredItem, type StoredKind } from './inventory.ts'
import { Leases } from './leases.ts'
import { readReferences, type References } from './references.ts'

export interface CollectInput {
  readonly paths: StatePaths
  /** Only say what would go. */
  readonly dryRun: boolean
  /**
   * Things that go although somebody needs them: what a check found damaged. By path. A tree in use stays for those who
   * have it, and is marked, so that the next start makes a fresh one.
   */
  readonly damaged?: ReadonlySet<string>
  readonly signal: AbortSignal
  /** Since the epoch. */
  readonly now: () => number
  readonly onProgress?: (done: number, total: number) => void
}

export interface RemovedItem {
  readonly kind: StoredKind
  readonly name: string
  /** Freed on disk; what others share by hard links is not counted. */
  readonly bytes: number
}

export interface KeptItem {
  readonly kind: StoredKind
  readonly name: string
  readonly why: string
}

export interface CollectReport {
  readonly dryRun: boolean
  readonly removed: readonly RemovedItem[]
  readonly freedBytes: number
  readonly kept: readonly KeptItem[]
  /** State that could not be read: because of it everything but leftovers was kept. */
  readonly problems: readonly { readonly reason: string; readonly message: string; readonly path?: string }[]
}

interface Decision {
  readonly items: readonly StoredItem[]
  readonly kept: readonly KeptItem[]
  readonly problems: readonly ExpectedError[]
  /** Trees that a container keeps: whoever starts next gets a fresh one. */
  readonly damagedInUse: readonly string[]
}

/** Throws ExpectedError: PermissionDenied (something can't be removed), DiskFull, RuntimeMissing (flock, find). */
export async function collectGarbage(input: CollectInput): Promise<CollectReport> {
  const { paths, dryRun } = input
  if ((await listFolder(paths.root)).length === 0)
    return reportOf(input, { items: [], kept: [], problems: [], damagedInUse: [] })
  if (dryRun) {
    const decision = await decide(input)
    return reportOf(input, decision, await bytesFreed(pathsOf(decision.items), input.signal))
  }
  return withLock(paths.collectorLock, async () => {
    const decision = await whileAnnounced(paths, async () => {
      const decided = await decide(input)
      // First: what goes may be all that showed the damage, and nobody would find it again.
      for (const path of decided.damagedInUse) await markDamaged(path)
      return moveAllAside(decided)
    })
    const bytes = await bytesFreed(pathsOf(decision.items), input.signal)
    await removeAll(input, pathsOf(decision.items))
    await sweepCrashes(input)
    return reportOf(input, decision, bytes)
  })
}

function pathsOf(items: readonly StoredItem[]): readonly string[] {
  return items.map(({ path }) => path)
}

/** The same decision with the paths that the items have from now on. */
async function moveAllAside(decision: Decision): Promise<Decision> {
  const items: StoredItem[] = []
  for (const item of decision.items) {
    const path = await moveAside(item.path)
    if (path !== undefined) items.push({ ...item, path })
  }
  return { ...decision, items }
}

/** Who begins to use something meanwhile waits for the end of this. */
async function whileAnnounced<T>(paths: StatePaths, work: () => Promise<T>): Promise<T> {
  await ensureFolder(paths.leases)
  const leases = new Leases(paths.leases)
  const announcement = await leases.announceCollector()
  try {
    return await work()
  } finally {
    await announcement.release()
  }
}

/** The store is listed first: what comes into it afterwards is not judged. */
async function decide({ paths, damaged = new Set() }: CollectInput): Promise<Decision> {
  const all = await storedItems(paths)
  const trees = all.filter(({ kind }) => kind === 'tree').map(({ name }) => name)
  const references = await readReferences(paths, trees)
  const kept: KeptItem[] = []
  const items: StoredItem[] = []
  const damagedInUse: string[] = []
  for (const item of all) {
    const why = whyKept(item, references, damaged)
    if (why === undefined) items.push(item)
    else {
      kept.push({ kind: item.kind, name: item.name, why })
      if (item.kind === 'tree' && damaged.has(item.path)) damagedInUse.push(item.path)
    }
  }
  return { items, kept, problems: references.problems, damagedInUse }
}

function whyKept(
  { kind, name, path }: StoredItem,
  references: References,
  damaged: ReadonlySet<string>,
): string | undefined {
  const why = references.why(name)
  if (damaged.has(path)) return references.isInUse(name) ? why : undefined
  // Of what was never finished nothing can be anybody's, unless somebody is at it.
  if (why !== undefined || kind === 'leftover') return why
  return references.problems.length > 0 ? 'perhaps needed by what could not be read' : undefined
}

async function removeAll({ signal, onProgress }: CollectInput, paths: readonly string[]): Promise<void> {
  for (const [done, path] of paths.entries()) {
    signal.throwIfAborted()
    onProgress?.(done, paths.length)
    await removeOne(path)
  }
}

/** A program for each of a thousand blobs would take longer than the disk. */
async function removeOne(path: string): Promise<void> {
  if ((await lstat(path)).isDirectory()) await removeTree(path)
  else await rm(path, { force: true })
}

/** What collectors and other processes left that were killed. */
async function sweepCrashes({ paths, now }: CollectInput): Promise<void> {
  const records = resolvedDir(paths)
  const parents = [join(paths.blobs, 'sha256'), join(paths.blobs, 'sha512'), join(paths.blobs, 'ingest')]
  for (const parent of [...parents, records, paths.rootfs, paths.layers])
    for (const path of await listRemoved(parent)) await removeOne(path)
  await sweepTemporary(records, now())
  await new Leases(paths.leases).sweep()
}

function reportOf(
  { dryRun }: CollectInput,
  { items, kept, problems }: Decision,
  bytes: readonly number[] = [],
): CollectReport {
  const removed = items.map(({ kind, name }, index) => ({ kind, name, bytes: bytes[index] ?? 0 }))
  return {
    dryRun,
    removed,
    freedBytes: removed.reduce((sum, item) => sum + item.bytes, 0),
    kept,
    problems: problems.map(({ reason, message, path }) => ({
      reason,
      message,
      ...(path === undefined ? {} : { path }),
    })),
  }
}
