/** kill -9 at the worst moment: the target is not there, one sweep removes the rest, and the next run succeeds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sweepStaging } from '../../../../src/engine/local/unpack/staging.ts'
import { diffIdOf, file, layer } from '../../../support/layer.ts'
import { IS_ROOT, privateFolder, unpackTars } from './unpacked.ts'

const MODULE = join(import.meta.dirname, '../../../../src/engine/local/unpack/unpack-image.ts')
const TAR = layer([file('su', 'x', { mode: 0o4755 }), file('d/f', 'y')])

/** Unpacks in a process of its own that says so and then waits for ever, at the given place. */
function unpackUntil(target: string, place: 'reading' | 'publishing') {
  const script = `
    const { unpackImage } = await import(${JSON.stringify(MODULE)})
    const tar = Buffer.from(${JSON.stringify(TAR.toString('base64'))}, 'base64')
    const hang = async () => { console.log('waiting'); setInterval(() => {}, 1000); await new Promise(() => {}) }
    const blob = async function* () { yield tar.subarray(0, 1600); if (${place === 'reading'}) await hang(); yield tar.subarray(1600) }
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: '${diffIdOf(TAR)}', size: tar.length }
    await unpackImage({
      source: { blob }, manifest: { layers: [layer] }, config: { diffIds: ['${diffIdOf(TAR)}'] },
      dir: ${JSON.stringify(target)}, signal: new AbortController().signal, keepIds: ${IS_ROOT}, beforePublish: hang,
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
})
