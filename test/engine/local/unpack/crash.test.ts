/** kill -9 at the worst moment: the target is not there, one sweep removes the rest, and the next run succeeds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LayerStore } from '../../../../src/engine/local/layer-store.ts'
import { StoredContent } from '../../../../src/engine/local/stored-content.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import { sweepStaging } from '../../../../src/engine/local/unpack/staging.ts'
import { diffIdOf, file, layer } from '../../../support/layer.ts'
import { IS_ROOT, privateFolder, unpackTars } from './unpacked.ts'

const MODULE = join(import.meta.dirname, '../../../../src/engine/local/unpack/unpack-image.ts')
const STORE = join(import.meta.dirname, '../../../../src/engine/local')
const TAR = layer([file('su', 'x', { mode: 0o4755 }), file('d/f', 'y')])

/** Unpacks in a process of its own that says so and then waits for ever, at the given place. */
function unpackUntil(target: string, place: 'reading' | 'publishing', layersDir?: string) {
  const script = `
    const { unpackImage } = await import(${JSON.stringify(MODULE)})
    const { LayerStore } = await import(${JSON.stringify(join(STORE, 'layer-store.ts'))})
    const { StoredContent } = await import(${JSON.stringify(join(STORE, 'stored-content.ts'))})
    const limits = ${JSON.stringify(DEFAULT_LIMITS)}
    const layers = ${JSON.stringify(layersDir) ?? 'undefined'}
    const store = layers && new LayerStore(layers)
    const shared = store && ((reader, policy) => new StoredContent(store, { policy, limits }, reader))
    const tar = Buffer.from(${JSON.stringify(TAR.toString('base64'))}, 'base64')
    const hang = async () => { console.log('waiting'); setInterval(() => {}, 1000); await new Promise(() => {}) }
    const blob = async function* () { yield tar.subarray(0, 1600); if (${place === 'reading'}) await hang(); yield tar.subarray(1600) }
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: '${diffIdOf(TAR)}', size: tar.length }
    await unpackImage({
      source: { blob }, manifest: { layers: [layer] }, config: { diffIds: ['${diffIdOf(TAR)}'] },
      dir: ${JSON.stringify(target)}, signal: new AbortController().signal, keepIds: ${IS_ROOT}, beforePublish: hang, ...(shared && { shared }),
    })
  `
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

describe('a kill', () => {
  test.each(['reading', 'publishing'] as const)(
    'while %s leaves a private staging folder and nothing else',
    async (place) => {
      const folder = privateFolder()
      const child = unpackUntil(join(folder, 'out'), place)
      await once(child.stdout, 'data')
      child.kill('SIGKILL')
      await once(child, 'exit')
      const [staging = '', ...others] = readdirSync(folder)
      expect(others).toEqual([])
      expect(staging).toMatch(/^\.out\.staging-/)
      expect(statSync(join(folder, staging)).mode & 0o777).toBe(0o700)
      await sweepStaging(folder)
      expect(readdirSync(folder)).toEqual([])
      await unpackTars(join(folder, 'out'), [TAR], { keepIds: IS_ROOT })
      expect(readdirSync(join(folder, 'out', 'rootfs'))).toEqual(['d', 'su'])
    },
  )

  test.each<['reading' | 'publishing', readonly RegExp[]]>([
    ['reading', [/^\.[0-9a-f]{64}-[0-9a-f]{32}\.staging-/]],
    // The layer is whole by then, and stays for the next attempt.
    ['publishing', [/^[0-9a-f]{64}-[0-9a-f]{32}$/]],
  ])('while %s leaves the layer store whole', async (place, names) => {
    const folder = privateFolder()
    const layers = join(folder, 'layers')
    const child = unpackUntil(join(folder, 'trees', 'out'), place, layers)
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(readdirSync(layers)).toEqual(names.map((name) => expect.stringMatching(name) as string))
    expect(statSync(join(layers, readdirSync(layers)[0] ?? '')).mode & 0o777).toBe(0o700)
    for (const dir of [layers, join(folder, 'trees')]) await sweepStaging(dir)
    const store = new LayerStore(layers)
    await unpackTars(join(folder, 'trees', 'out'), [TAR], {
      keepIds: IS_ROOT,
      shared: (reader, policy) => new StoredContent(store, { policy, limits: DEFAULT_LIMITS }, reader),
    })
    expect(readdirSync(join(folder, 'trees'))).toEqual(['out'])
    expect(readdirSync(layers)).toHaveLength(1)
    expect(readdirSync(join(folder, 'trees', 'out', 'rootfs'))).toEqual(['d', 'su'])
  })
})
