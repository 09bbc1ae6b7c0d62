/** Real mounts that stand for claims, taken away when the test ends. Needs root. */
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import type { PreflightTask, PreflightVolume } from '../../src/reconcile/kubernetes/preflight-task.ts'
import { runToEnd, temporaryFolder } from '../engine/local/temporary.ts'
import { expectDone } from './rich-folder.ts'

/** `folder`: a bind of the host's disk. `ext4`: a fresh file system, with its lost+found. */
export type ClaimKind = 'folder' | 'ext4' | 'tmpfs'

/** Mounts a claim and returns its mount point. `options` are those of mount(8). */
export async function mountClaim(kind: ClaimKind, options = ''): Promise<string> {
  const top = await temporaryFolder()
  const mount = path.join(top, 'mount')
  await mkdir(mount)
  const flags = options === '' ? [] : ['-o', options]
  if (kind === 'folder') await expectDone(['mount', '--bind', mount, mount])
  if (kind === 'tmpfs') await expectDone(['mount', '-t', 'tmpfs', ...flags, 'tmpfs', mount])
  if (kind === 'ext4') await mountExt4(path.join(top, 'disk'), mount, options)
  onTestFinished(async () => {
    await runToEnd(['umount', '--lazy', mount])
  })
  return mount
}

async function mountExt4(disk: string, mount: string, options: string): Promise<void> {
  await writeFile(disk, '')
  await truncate(disk, 64 << 20)
  await expectDone(['mkfs.ext4', '-q', disk])
  await expectDone(['mount', '-o', options === '' ? 'loop' : `loop,${options}`, disk, mount])
}

/** A volume of a task; `destination` is its path, and the image has it. */
export function aPreflightVolume(
  mount: string,
  path_ = '/data',
  extra: Partial<PreflightVolume> = {},
): PreflightVolume {
  return {
    path: path_,
    destination: path_,
    mount,
    subPath: '',
    action: 'Copy',
    inImage: true,
    uid: 2000,
    gid: 2001,
    nested: [],
    exec: 'Required',
    ...extra,
  }
}

export function aTask(
  sourceRoot: string,
  volumes: readonly PreflightVolume[],
  restricted = false,
): PreflightTask {
  return { version: 1, sourceRoot, volumes, restricted }
}
