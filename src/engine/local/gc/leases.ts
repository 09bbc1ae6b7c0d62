/**
 * Who uses what of the shared image store right now. A lease is a small file that names what its writer needs; its own
 * name tells whether the writer still lives. Users and the collector never wait for the network or for each other's
 * work: a user writes its lease and then looks for a collector, the collector says that it is there and then looks for
 * leases. Whichever order the two come in, at least one of them sees the other.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ExpectedError } from '../../../errors.ts'
import { ingestName, isWriterAlive } from '../../../registry/ingest-name.ts'
import { diskError, listFolder, readJson } from '../disk.ts'
import { corruptState } from '../state-file.ts'

const COLLECTOR = 'collector.'
const UNFINISHED = '.'
/** A collector only renames while it is announced: it is gone after some milliseconds. */
const LOOK_AGAIN_MS = 10

export interface Lease {
  release(): Promise<void>
}

export class Leases {
  readonly #dir: string

  /** `dir` is created by the first lease. */
  constructor(dir: string) {
    this.#dir = dir
  }

  /**
   * From when this returns until it is released (or the process ends, however it ends), no collector takes what has one
   * of these names: digests of images and blobs, keys of merged trees.
   */
  async take(names: readonly string[], signal: AbortSignal): Promise<Lease> {
    const path = await this.#write('', JSON.stringify(names))
    const lease = { release: () => rm(path, { force: true }) }
    try {
      await this.#collectorsGone(signal)
    } catch (error) {
      await lease.release()
      throw error
    }
    return lease
  }

  /**
   * The same for what an app's status names already, which keeps it from every collector that begins now. So a disk that
   * takes no lease, being full or read-only, does not keep what is there from being used.
   */
  async takePinned(names: readonly string[], signal: AbortSignal): Promise<Lease> {
    try {
      return await this.take(names, signal)
    } catch (error) {
      if (signal.aborted || !isOfTheDisk(error)) throw error
      await this.#collectorsGone(signal)
      return { release: () => Promise.resolve() }
    }
  }

  /** Says that a collector decides now. Only one at a time: the caller holds the collectors' lock. */
  async announceCollector(): Promise<Lease> {
    const path = await this.#write(COLLECTOR, '')
    return { release: () => rm(path, { force: true }) }
  }

  /** Every name that a living process needs. Ask before anything else that says what is needed. */
  async names(): Promise<ReadonlySet<string>> {
    const held = new Set<string>()
    for (const file of await this.#files()) {
      if (file.startsWith(COLLECTOR) || !(await isWriterAlive(file))) continue
      for (const name of await this.#read(file)) held.add(name)
    }
    return held
  }

  /** Removes what processes left that are gone. */
  async sweep(): Promise<void> {
    for (const file of await this.#files()) {
      if (!(await isWriterAlive(writerOf(file)))) await rm(join(this.#dir, file), { force: true })
    }
  }

  async #collectorsGone(signal: AbortSignal): Promise<void> {
    try {
      while (await this.#isCollecting()) await sleep(LOOK_AGAIN_MS, undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }

  async #isCollecting(): Promise<boolean> {
    for (const file of await this.#files())
      if (file.startsWith(COLLECTOR) && (await isWriterAlive(writerOf(file)))) return true
    return false
  }

  /** Whole or not at all; not synced, since a lease is worth nothing once its writer has ended. */
  async #write(prefix: string, content: string): Promise<string> {
    const name = `${prefix}${await ingestName()}`
    const [unfinished, path] = [join(this.#dir, `${UNFINISHED}${name}`), join(this.#dir, name)]
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      await writeFile(unfinished, content, { flag: 'wx', mode: 0o600 })
      await rename(unfinished, path)
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => undefined)
      throw diskError(error, this.#dir)
    }
    return path
  }

  async #read(file: string): Promise<readonly string[]> {
    const path = join(this.#dir, file)
    const names = await readJson(path)
    // Released meanwhile: what it was for is told by what is read next.
    if (names === undefined) return []
    // A guess would let the collector take what somebody needs.
    if (!isListOfText(names)) throw corruptState(path, 'is no list of names')
    return names
  }

  async #files(): Promise<readonly string[]> {
    return listFolder(this.#dir)
  }
}

/** Whatever the system says: of a read-only disk Node reports that a folder to make is missing. */
function isOfTheDisk(error: unknown): boolean {
  const isFull = error instanceof ExpectedError && error.reason === 'DiskFull'
  return isFull || (error as NodeJS.ErrnoException).errno !== undefined
}

function isListOfText(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function writerOf(file: string): string {
  const name = file.startsWith(UNFINISHED) ? file.slice(1) : file
  return name.startsWith(COLLECTOR) ? name.slice(COLLECTOR.length) : name
}
