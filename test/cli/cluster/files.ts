/** Resources in files, with images in a layout that stands for their registry: no network. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toYaml } from '../../../src/crd/to-yaml.ts'
import { buildElf } from '../../support/elf.ts'
import { dir, file, layer } from '../../support/layer.ts'
import { buildImage, hostPlatform, writeLayout } from '../../support/layout.ts'
import type { Desk } from '../run.ts'
import { keyOf } from '../prepared-state.ts'

const MACHINE = hostPlatform().architecture === 'arm64' ? 183 : 62

/** Runs `/app` and declares the volume `/data`. */
export const APP_IMAGE = buildImage({
  layers: [
    layer([dir('data'), file('data/f', 'one'), file('app', buildElf({ machine: MACHINE }), { mode: 0o755 })]),
  ],
  config: { Entrypoint: ['/app'], Volumes: ['/data'] },
})

/** What the tag `good` named before. */
export const OLD_IMAGE = buildImage({
  layers: [layer([dir('data'), file('app', buildElf({ machine: MACHINE }), { mode: 0o755 })])],
  config: { Entrypoint: ['/app'], Cmd: ['old'], Volumes: ['/data'] },
})

/** Names an entrypoint that it does not have. */
export const BROKEN_IMAGE = buildImage({
  layers: [layer([dir('data')])],
  config: { Entrypoint: ['/none'] },
})

/** Options that make `example.com/team/app:{good,broken}` readable. */
export async function imagesOf(desk: Desk): Promise<readonly string[]> {
  await writeLayout(join(desk.dir, 'layout'), [
    { tag: 'good', image: APP_IMAGE },
    { tag: 'old', image: OLD_IMAGE },
    { tag: 'broken', image: BROKEN_IMAGE },
  ])
  const config = { layouts: [{ prefix: 'example.com/team/app', path: join(desk.dir, 'layout') }] }
  writeFileSync(join(desk.dir, 'registries.yaml'), JSON.stringify(config))
  return ['--registries-config', 'registries.yaml']
}

/** Writes `app.yaml`. */
export function writeApp(
  desk: Desk,
  spec: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
  name = 'chat/web',
): void {
  mkdirSync(desk.dir, { recursive: true })
  const resource = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { ...keyOf(name) },
    spec: { image: 'example.com/team/app:good', ports: [{ name: 'http', port: 80 }], ...spec },
    ...more,
  }
  writeFileSync(join(desk.dir, 'app.yaml'), toYaml(resource))
}
