/** Images of the in-memory world, in layouts on disk that stand for a registry: `registry.test/apps/app:1` and on. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buildElf } from '../../support/elf.ts'
import { dir, file, layer } from '../../support/layer.ts'
import { buildImage, writeLayout, type BuiltImage, type ConfigInput } from '../../support/layout.ts'

const AMD64 = { os: 'linux', architecture: 'amd64' }

function image(version: string, config: ConfigInput = {}): BuiltImage {
  const parts = [
    file('app', buildElf({ type: 2 }), { mode: 0o755 }),
    dir('data'),
    file('data/seed', version),
    dir('plugins'),
    file('version', version),
  ]
  return buildImage({
    layers: [layer(parts)],
    platform: AMD64,
    config: { Entrypoint: ['/app'], Volumes: ['/data'], ...config },
  })
}

export const IMAGES = {
  '1': image('1'),
  '2': image('2'),
  /** One volume more. */
  '3': image('3', { Volumes: ['/data', '/plugins'] }),
  /** Its entrypoint is missing. */
  broken: image('broken', { Entrypoint: ['/nothing'] }),
  /** Nothing to keep. */
  plain: image('plain', { Volumes: [] }),
}

/** Writes them; returns the folder of layouts. */
export async function writeImages(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-world-'))
  const items = Object.entries(IMAGES).map(([tag, built]) => ({ image: built, tag }))
  await writeLayout(path.join(folder, 'app'), items)
  return folder
}
