/**
 * What is needed of the image store, and by whom: leases, the pins and rollback targets of every app, instances and
 * mounts. The order counts: whoever hands a need on (a lease becomes a pin, a pin becomes an instance) writes the new
 * place before it gives up the old one, so asking in the same order misses nothing.
 */
import { readFile, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { parseStatus } from '../../../crd/status.ts'
import { ExpectedError } from '../../../errors.ts'
import type { Digest, ResolvedImage } from '../../../image/types.ts'
import { appId } from '../../../reconcile/names.ts'
import { namesOf, treeKeys } from '../image-store.ts'
import { InstanceStore } from '../instance-store.ts'
import { isMissing, listFolder, readJson } from '../disk.ts'
import { readStateFile } from '../state-file.ts'
import { instancePaths, type StatePaths } from '../paths.ts'
import { startTicksOf } from '../process-facts.ts'
import { parseReplaced, type ReplacedTree } from '../replaced-tree.ts'
import { recordsOf } from './inventory.ts'
import { Leases } from './leases.ts'

export interface References {
  /** What needs a name (as in `StoredItem`), in words; a name that is missing is needed by nobody. */
  why(name: string): string | undefined
  /** Used by a container, its next start or a living process: not even when it is damaged may it be taken away. */
  isInUse(name: string): boolean
  /** The apps, `namespace/name`, whose containers use it. */
  usersOf(name: string): readonly string[]
  /** What could not be read. While there is one, nobody knows what else is needed. */
  readonly problems: readonly ExpectedError[]
}

/** `trees` are the keys to look for where only paths are told: scripts and mounts. */
export async function readReferences(paths: StatePaths, trees: readonly string[]): Promise<References> {
  const found = new Found(paths)
  for (const name of await new Leases(paths.leases).names()) found.use(name, 'being prepared right now')
  for (const folder of await listFolder(paths.apps))
    if (folder.includes('_') && !folder.startsWith('.')) await found.app(folder)
  for (const id of await listFolder(paths.instances)) await found.instance(id, trees)
  await found.mounts(trees)
  return found
}

/** How strong a need is. Of several the strongest is told: what runs before what could run. */
const IN_USE = 2
const PINNED = 1
const ROLLBACK = 0

class Found implements References {
  readonly problems: ExpectedError[] = []
  readonly #paths: StatePaths
  readonly #needs = new Map<string, { readonly why: string; readonly strength: number }>()
  readonly #users = new Map<string, Set<string>>()

  constructor(paths: StatePaths) {
    this.#paths = paths
  }

  why(name: string): string | undefined {
    return this.#needs.get(name)?.why
  }

  isInUse(name: string): boolean {
    return this.#needs.get(name)?.strength === IN_USE
  }

  usersOf(name: string): readonly string[] {
    return [...(this.#users.get(name) ?? [])].sort()
  }

  /** Of equal ones the first stands. */
  #need(name: string, why: string, strength: number): void {
    const known = this.#needs.get(name)
    if (known === undefined || known.strength < strength) this.#needs.set(name, { why, strength })
  }

  /** Pin and rollback targets. An app that is being removed may still run: it counts until its folder is gone. */
  async app(folder: string): Promise<void> {
    const name = folder.replace('_', '/')
    const file = join(this.#paths.apps, folder, 'status.json')
    await this.#told(file, async () => {
      const written = await readJson(file)
      if (written === undefined) return
      const status = parseStatus(written)
      if (status === undefined) throw corrupt(file, 'does not have the form of a status')
      if (status.image === undefined) return
      await this.#image(status.image.digest, `pinned by ${name}`, PINNED)
      for (const { digest } of status.image.history ?? [])
        await this.#image(digest, `rollback target of ${name}`, ROLLBACK)
    })
  }

  /** Also one whose app is gone but whose container still runs. Scripts name trees of instances without a record. */
  async instance(id: string, trees: readonly string[]): Promise<void> {
    const files = instancePaths(this.#paths, id)
    await this.#told(files.dir, async () => {
      const record = await new InstanceStore(this.#paths).read(id)
      if (record !== undefined) await this.#running(record.digest, id, appId(record.key))
      this.#inText((await readStateFile(files.script)) ?? '', trees, `used by instance ${id}`)
    })
  }

  /** In every mount namespace: supervisors mount in one of their own. */
  async mounts(trees: readonly string[]): Promise<void> {
    const replaced = (await listFolder(this.#paths.rootfs)).flatMap((folder) => parseReplaced(folder) ?? [])
    const seen = new Map<string, readonly ReplacedTree[]>()
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => '')
      if (namespace === '') continue
      const named = seen.get(namespace) ?? (await this.#mountsOf(pid, trees, replaced))
      // A process that has just ended has taken its namespace with it, or others are left in it and are asked.
      if (named === undefined) continue
      seen.set(namespace, named)
      for (const { folder, ticks } of named)
        if (Number(startTicksOf(Number(pid)) ?? Infinity) <= ticks) this.use(folder, 'mounted')
    }
  }

  /** The replaced trees that a mount there may be of, by its name; undefined when the process is gone. */
  async #mountsOf(
    pid: string,
    trees: readonly string[],
    replaced: readonly ReplacedTree[],
  ): Promise<readonly ReplacedTree[] | undefined> {
    const text = await readFile(`/proc/${pid}/mountinfo`, 'latin1').catch(() => undefined)
    if (text === undefined) return undefined
    this.#inText(text, trees, 'mounted')
    return replaced.filter(({ key }) => text.includes(`/${key}`))
  }

  /** By the key alone: the same folder may be called by other paths, and a key is too long to occur by chance. */
  #inText(text: string, trees: readonly string[], why: string): void {
    for (const key of trees) if (text.includes(`/${key}`)) this.use(key, why)
  }

  use(name: string, why: string): void {
    this.#need(name, why, IN_USE)
  }

  async #image(digest: Digest, why: string, strength: number): Promise<void> {
    this.#need(digest, why, strength)
    for (const image of await this.#images(digest))
      for (const name of namesOf(image)) this.#need(name, why, strength)
  }

  /** A container reads its tree and nothing else of its image: the rest may go when it is damaged. */
  async #running(digest: Digest, id: string, app: string): Promise<void> {
    const why = `used by instance ${id}`
    await this.#image(digest, why, PINNED)
    for (const key of (await this.#images(digest)).flatMap(treeKeys)) {
      this.use(key, why)
      this.#users.set(key, (this.#users.get(key) ?? new Set()).add(app))
    }
  }

  async #images(digest: Digest): Promise<readonly ResolvedImage[]> {
    const images: ResolvedImage[] = []
    for (const file of await recordsOf(this.#paths, digest)) {
      const image = await readResolved(file)
      if (image !== undefined) images.push(image)
    }
    return images
  }

  /** Whatever keeps it from being read, one app's or instance's state must not end the look at all others. */
  async #told(path: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.problems.push(unreadable(path, error))
    }
  }
}

/** A stored resolution; undefined when it is gone meanwhile. Throws StateCorrupt. */
export async function readResolved(file: string): Promise<ResolvedImage | undefined> {
  const image = (await readJson(file).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw unreadable(file, error)
  })) as Partial<ResolvedImage> | undefined
  if (image === undefined) return undefined
  const { digest, manifest, config } = image
  if (typeof digest === 'string' && Array.isArray(manifest?.layers) && Array.isArray(config?.diffIds))
    return image as ResolvedImage
  throw corrupt(file, 'does not say which layers the image has')
}

/** Folders in place of files, disks that fail and the like. Throws what is no matter of the file. */
function unreadable(path: string, error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined) throw error
  return corrupt(path, `cannot be read (${code})`)
}

function corrupt(path: string, what: string): ExpectedError {
  const message = `${path} ${what}; restore it from a backup, or remove it and apply the resource again (volumes are kept)`
  return new ExpectedError('StateCorrupt', message, { path })
}
