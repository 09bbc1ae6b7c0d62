/**
 * Beginnings of blobs that a broken line or a killed process left: the next download goes on where it ended. Nothing of
 * them is believed: the whole is hashed from its first byte before it gets its name.
 *
 * A beginning belongs to whoever is in its name (`ingest-name.ts`). Whoever wants one of nobody's renames it to a name of
 * its own, which only one can; so neither two processes nor `gc` and a download get into each other's way.
 */
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { algorithmOf, hexOf } from '../image/digest.ts'
import type { KeptBytes } from '../image/source.ts'
import type { Digest } from '../image/types.ts'
import { abandonedName, ingestName, isWriterAlive } from './ingest-name.ts'
import { openRegular, readRange } from './read-file.ts'

/** Less is asked for again faster than it is looked after. */
const MIN_KEPT_BYTES = 1024 * 1024
/** By then the image has most likely changed. */
const MAX_KEPT_MS = 24 * 3_600_000

export interface Beginning {
  readonly path: string
  readonly kept: KeptBytes
}

/** A path in `dir` for a new download of this process. */
export async function newBeginning(dir: string, digest: Digest): Promise<string> {
  return join(dir, await ingestName(prefixOf(digest)))
}

/** The longest beginning that belongs to nobody, now this process's own; undefined for none. */
export async function takeBeginning(
  dir: string,
  digest: Digest,
  maxBytes: number,
): Promise<Beginning | undefined> {
  const prefix = prefixOf(digest)
  const names = (await readdir(dir).catch(() => [])).filter((name) => name.startsWith(`${prefix}.`))
  const found: { readonly path: string; readonly size: number }[] = []
  for (const name of names) {
    const path = join(dir, name)
    const size = (await isWriterAlive(name))
      ? 0
      : await stat(path).then(
          (file) => file.size,
          () => 0,
        )
    if (size > 0 && size <= maxBytes) found.push({ path, size })
  }
  for (const { path, size } of found.toSorted((a, b) => b.size - a.size)) {
    const own = await newBeginning(dir, digest)
    // Somebody else was faster.
    if (
      !(await rename(path, own).then(
        () => true,
        () => false,
      ))
    )
      continue
    return { path: own, kept: { size, read: () => readBeginning(own, size) } }
  }
  return undefined
}

/** Gives a beginning back, when it is worth it: from now on it belongs to nobody. */
export async function leaveBeginning(dir: string, digest: Digest, path: string): Promise<void> {
  const size = await stat(path).then(
    (file) => file.size,
    () => 0,
  )
  if (size < MIN_KEPT_BYTES) return rm(path, { force: true })
  return rename(path, join(dir, await abandonedName(prefixOf(digest))))
}

/** Whether a file that belongs to nobody may still be gone on with. */
export async function isWorthKeeping(path: string, nowMs: number): Promise<boolean> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (!/^sha(?:256|512)-[0-9a-f]+\./.test(name)) return false
  const file = await stat(path).catch(() => undefined)
  return file !== undefined && file.size >= MIN_KEPT_BYTES && nowMs - file.mtimeMs < MAX_KEPT_MS
}

async function* readBeginning(path: string, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await openRegular(path)
  try {
    if (file !== undefined) yield* readRange(file.handle, 0, size, new AbortController().signal)
  } finally {
    await file?.handle.close()
  }
}

function prefixOf(digest: Digest): string {
  return `${algorithmOf(digest)}-${hexOf(digest)}`
}
