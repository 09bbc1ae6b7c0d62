/** kill -9 while a layer is filled and finds its files in another one: at every step nothing wrong is left. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sweepStaging } from '../../../../src/engine/local/unpack/staging.ts'
import { file, layer } from '../../../support/layer.ts'
import { bed, foundIn } from '../layer-bed.ts'
import { node, runToEnd } from '../temporary.ts'
import { IS_ROOT, privateFolder, unpackTars } from '../unpack/unpacked.ts'

const [A, B] = [Buffer.alloc(5000, 'a'), Buffer.alloc(9000, 'b')]
const OLD = layer([file('lib/a', A), file('lib/b', B)])
const REBUILT = layer([file('a', A), file('b', B), file('own', 'x')])
/** More durable steps than filling takes; reaching it means that the sweep never ended by itself. */
const TOO_MANY = 20

test('a kill after any step leaves both layers whole or not there, and the next attempt ends as ever', async () => {
  const folder = privateFolder()
  const tar = join(folder, 'rebuilt.tar')
  writeFileSync(tar, REBUILT)
  await unpackTars(join(folder, 'alone'), [REBUILT], { keepIds: IS_ROOT })
  const steps: string[] = []
  for (let step = 1; ; step += 1) {
    expect(step).toBeLessThan(TOO_MANY)
    const state = join(folder, String(step))
    mkdirSync(state)
    const store = bed(state)
    await store.unpack('old', [OLD])
    const env = { FAIRLEAD_CRASH_AFTER_WRITE: String(step) }
    const { signal, stderr } = await runToEnd(node('dedupe/fill-process.ts', state, 'new', tar), { env })
    if (signal === null) break
    steps.push(stderr.trim())
    expect(readdirSync(state)).not.toContain('new')
    for (const dir of [state, store.layers]) await sweepStaging(dir)
    expect(readFileSync(join(state, 'old/rootfs/lib/a'))).toEqual(A)
    expect(readFileSync(join(state, 'old/rootfs/lib/b'))).toEqual(B)
    await store.unpack('new', [REBUILT])
    expect(foundIn(join(state, 'new'))).toEqual(foundIn(join(folder, 'alone')))
    expect(readFileSync(join(state, 'new/rootfs/a'))).toEqual(A)
    for (const name of ['a', 'b']) expect(store.ino('new', name)).toBe(store.ino('old', `lib/${name}`))
  }
  // Read; two links; published.
  expect(steps.filter((line) => line.endsWith('/candidate'))).toHaveLength(2)
  expect(steps).toHaveLength(4)
})
