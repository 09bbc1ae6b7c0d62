/** A layer store and trees that are made from it. */
import { execFileSync } from 'node:child_process'
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { layersOf, LayerStore } from '../../../src/engine/local/layer-store.ts'
import { StoredContent } from '../../../src/engine/local/stored-content.ts'
import type { UnpackInput } from '../../../src/engine/local/unpack/unpack-image.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import { diffIdOf } from '../../support/layer.ts'
import { found, imageOf, IS_ROOT, privateFolder, unpackTars } from './unpack/unpacked.ts'

export interface Bed {
  readonly folder: string
  readonly layers: string
  /** Unpacks to `folder/name`; returns how often each layer's blob was opened. */
  unpack(name: string, tars: readonly Buffer[], options?: Partial<UnpackInput>): Promise<readonly number[]>
  ino(name: string, path: string): number
}

export function bed(folder = privateFolder(), layers = join(folder, 'layers')): Bed {
  const store = new LayerStore(layers)
  return {
    folder,
    layers,
    unpack: async (name, tars, options = {}) => {
      const opened = tars.map(() => 0)
      const { source } = imageOf(tars)
      const blob: UnpackInput['source']['blob'] = async function* (descriptor, signal) {
        const index = tars.findIndex((tar) => diffIdOf(tar) === descriptor.digest)
        opened[index] = (opened[index] ?? 0) + 1
        yield* (options.source ?? source).blob(descriptor, signal)
      }
      const limits = options.limits ?? DEFAULT_LIMITS
      await unpackTars(join(folder, name), tars, {
        keepIds: IS_ROOT,
        shared: (reader, policy) =>
          new StoredContent(store, { policy, limits }, reader, layersOf(imageOf(tars))),
        ...options,
        source: { blob },
      })
      return opened
    },
    ino: (name, path) => lstatSync(join(folder, name, 'rootfs', path)).ino,
  }
}

/** By find(1), without the number of links, which is what sharing changes. */
export function foundIn(folder: string): readonly string[] {
  return found(join(folder, 'rootfs'))
    .map((line) => line.replace(/^([fl] \S+ \S+ \S+) \d+/, '$1'))
    .sort()
}

/** An empty file system of memory; `options` as of mount(8). */
export function tmpfs(options: string): string {
  const folder = privateFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=700,${options}`, 'none', folder])
  onTestFinished(() => void execFileSync('umount', [folder]))
  return folder
}
