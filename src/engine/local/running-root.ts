/**
 * The root of a running container as the image and its own writes make it, without what is mounted over. The supervisor
 * mounts it in a mount namespace of its own: /proc/PID/root leads there.
 */
import { closeSync, constants, fstatSync, openSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { toBytes, type ByteString } from '../../image/bytes.ts'
import { ExpectedError } from '../../errors.ts'
import { readJson } from './disk.ts'
import { instancePaths, type StatePaths } from './paths.ts'
import { isSameProcess, type ProcessIdentity } from './process-facts.ts'

/**
 * Runs `use` with an open descriptor of the container's root. Throws NotFound when the container is not up (any more).
 */
export async function withRunningRoot<Result>(
  paths: StatePaths,
  id: string,
  supervisor: ProcessIdentity,
  use: (fd: number) => Promise<Result>,
): Promise<Result> {
  const bundle = realpathSync(instancePaths(paths, id).bundle)
  const fd = openRoot(join(`/proc/${supervisor.pid}/root`, bundle, 'rootfs'))
  try {
    // The same folder as we see it is what lies below the mount: equal means that nothing is mounted. And only a
    // supervisor that is still the one on record was the one that was asked.
    const isMounted = fd !== undefined && fstatSync(fd).dev !== statSync(join(bundle, 'rootfs')).dev
    if (!isMounted || !isSameProcess(supervisor))
      throw new ExpectedError('NotFound', `the container ${id} is not up`, { retry: 'backoff' })
    return await use(fd)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function openRoot(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

/** Where something is mounted over the container's root, as its bundle says; component by component. */
export async function mountDestinations(
  paths: StatePaths,
  id: string,
): Promise<readonly (readonly ByteString[])[]> {
  const config = (await readJson(instancePaths(paths, id).config)) as
    | { readonly mounts?: readonly { readonly destination?: string }[] }
    | undefined
  return (config?.mounts ?? []).map(({ destination = '' }) =>
    toBytes(destination)
      .split('/')
      .filter((name) => name !== ''),
  )
}
