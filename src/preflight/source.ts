/** The app's image, as it is seen from the preflight container: where its files are, and what is mounted over them. */
import { closeSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { ExpectedError, printable } from '../errors.ts'
import { openDirectoryPath } from '../host/open-at.ts'
import type { ByteString } from '../image/bytes.ts'
import type { PreflightVolume } from '../reconcile/kubernetes/preflight-task.ts'
import { seeding } from './copy.ts'
import { namesBelow, namesOf, openBelow } from './folders.ts'
import { findHolder, type Holder } from './holder.ts'
import { mountsOf } from './mountinfo.ts'
import { errnoOf, isNoFolder } from './problems.ts'

export interface Source {
  /** Handle of the image's root folder, for looking up only. */
  readonly root: number
  /** Folders and files that something else is mounted at, such as /etc/hosts; from the image's root. */
  readonly mounts: readonly (readonly ByteString[])[]
  close(): void
}

/** The kubelet started the holder's container before ours; only its `exec` may be still to come. */
const HOLDER_TIMEOUT_MS = 30_000
const POLL_MS = 50

/** `sourceRoot` as in the task: undefined is the container beside ours. SeedFailed when that is not there. */
export async function openSource(sourceRoot: string | undefined): Promise<Source> {
  if (sourceRoot !== undefined) return sourceOf(openDirectoryPath(sourceRoot), 'self', namesOf(sourceRoot))
  const { root, pid } = await holder()
  return sourceOf(root, pid, [])
}

function sourceOf(root: number, pid: string, base: readonly ByteString[]): Source {
  return { root, mounts: namesBelow(mountsOf(pid), base), close: () => closeSync(root) }
}

async function holder(): Promise<Holder> {
  const deadline = performance.now() + HOLDER_TIMEOUT_MS
  for (;;) {
    const found = findHolder()
    if (found !== undefined) return found
    if (performance.now() > deadline)
      throw new ExpectedError(
        'SeedFailed',
        "the app's image is not seen beside this container; the node must let containers of a pod share their process ids",
        { retry: 'backoff' },
      )
    await after(POLL_MS)
  }
}

/** A source that is not there is an error, never an empty volume that counts as seeded (DESIGN §6). */
export function openImageFolder({ root }: Source, volume: PreflightVolume): number | undefined {
  if (!volume.inImage) return undefined
  try {
    return openBelow(root, namesOf(volume.destination), 'fail')
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && !isNoFolder(error)) throw error
    throw new ExpectedError(
      'SeedFailed',
      `${seeding(volume.path)}: the image has a folder ${printable(volume.destination)}, but it is not seen here; ` +
        'the node may not support image volumes',
      { retry: 'backoff' },
    )
  }
}

/** Nested volumes, and mounts that the cluster made below the image's folder; relative to it. */
export function leftOutOf(
  source: Source | undefined,
  volume: PreflightVolume,
): readonly (readonly ByteString[])[] {
  const base = namesOf(volume.destination)
  const nested = volume.nested.map(namesOf)
  return namesBelow([...nested, ...(source?.mounts ?? [])], base)
}
