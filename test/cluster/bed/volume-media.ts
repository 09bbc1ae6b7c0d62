/** What the volumes of a bed are made of, on the side of the node. */
import { chmod, mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { ClusterNode } from './node.ts'
import type { Medium } from './storage-classes.ts'

/** Folders of a bed's volumes; `name` is the persistent volume's. */
export class VolumeMedia {
  private readonly folder: string

  constructor(root: string) {
    this.folder = path.join(root, 'volumes')
  }

  /** The path that the persistent volume names. */
  pathOf(name: string): string {
    return path.join(this.folder, name)
  }

  /** Makes it, or finds it made: a provisioner may be interrupted between this and its answer to the API server. */
  async make(node: ClusterNode, name: string, medium: Medium, bytes: number): Promise<void> {
    const target = this.pathOf(name)
    await mkdir(target, { recursive: true })
    if (medium !== 'folder' && !(await isMounted(node, target))) {
      if (medium === 'noexec')
        await node.run('mount', '-t', 'tmpfs', '-o', `noexec,size=${bytes}`, 'tmpfs', target)
      else await this.mountExt4(node, name, bytes)
    }
    // As most provisioners leave it: pods of any user may write.
    await chmod(node.pathOf(target), 0o777)
  }

  /** A folder has all of the disk anyway. `ext4` is of a class that does not grow: see STORAGE_CLASSES. */
  async grow(node: ClusterNode, name: string, medium: Medium, bytes: number): Promise<void> {
    if (medium === 'noexec') await node.run('mount', '-o', `remount,noexec,size=${bytes}`, this.pathOf(name))
  }

  async remove(node: ClusterNode, name: string, medium: Medium): Promise<void> {
    const target = this.pathOf(name)
    if (medium !== 'folder' && (await isMounted(node, target))) await node.run('umount', target)
    await rm(target, { recursive: true, force: true })
    await rm(this.imageOf(name), { force: true })
  }

  private imageOf(name: string): string {
    return `${this.pathOf(name)}.img`
  }

  private async mountExt4(node: ClusterNode, name: string, bytes: number): Promise<void> {
    const image = this.imageOf(name)
    await writeFile(image, '')
    await truncate(image, bytes)
    await node.run('mkfs.ext4', '-q', '-F', image)
    await node.run('mount', '-o', 'loop', image, this.pathOf(name))
  }
}

async function isMounted(node: ClusterNode, target: string): Promise<boolean> {
  return await node.run('mountpoint', '-q', target).then(
    () => true,
    () => false,
  )
}
