/** Fairlead itself, as `fairlead unpack` does it: onto the disk, with the owners that the image says. */
import path from 'node:path'
import { unpackImage } from '../../../../src/engine/local/unpack/unpack-image.ts'
import { ExpectedError } from '../../../../src/errors.ts'
import { parseRegistriesConfig } from '../../../../src/registry/registries-config.ts'
import { openSource } from '../../../../src/registry/open.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import { hostPlatform } from '../../../support/layout.ts'
import { steady } from './fail-words.ts'
import type { Room } from './room.ts'
import type { Failure, Job, Tool, Unpacked } from './tool.ts'

export const FAIRLEAD: Tool = {
  name: 'fairlead',
  // Never another than the one under test.
  version: async () => 'as it is here',
  open: async (room) => ({ unpack: (job) => unpack(room, job) }),
}

/** Beside the tree lies `report.json`. */
async function unpack(room: Room, { layoutSeen, tag, id, limits }: Job): Promise<Unpacked | Failure> {
  const { signal } = new AbortController()
  const dir = path.join(room.folder, `fairlead-${id}`)
  const source = openSource(
    { kind: 'oci', original: `oci:${layoutSeen}:${tag}`, path: layoutSeen, tag, digest: undefined },
    {
      baseDir: '/',
      registries: parseRegistriesConfig({}),
      keychain: { find: async () => ({ credentials: [], problems: [] }) },
    },
  )
  try {
    const { manifest, config } = await source.resolve(hostPlatform(), signal)
    await unpackImage({ source, manifest, config, dir, signal, limits: { ...DEFAULT_LIMITS, ...limits } })
    return { root: path.join(dir, 'rootfs') }
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    return { failure: steady(`${error.reason}: ${error.message}`) }
  } finally {
    await source.close()
  }
}
