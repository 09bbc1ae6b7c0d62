/** The compiled package is the same program: it starts, says its version, resolves a layout, unpacks large layers. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { demoLayout } from '../support/fixtures.ts'
import { file, layer } from '../support/layer.ts'
import { buildImage, writeLayout } from '../support/layout.ts'
import { runProgram } from '../support/sandbox.ts'

const ROOT = path.join(import.meta.dirname, '../..')

/** Large ones may be read otherwise than small ones. */
const LARGE_LAYERS = ['a', 'b', 'c'].map((name) => layer([file(name, Buffer.alloc(5_000_000, name))]))

test('compiles to JavaScript that runs without the sources', async () => {
  // Below the checkout, where its dependencies are found as they will be in an installed package.
  await mkdir(path.join(ROOT, '.cache'), { recursive: true })
  const place = await mkdtemp(path.join(ROOT, '.cache/package-'))
  try {
    const dist = path.join(place, 'dist')
    const compiled = await runProgram(path.join(ROOT, 'node_modules/.bin/tsc'), [
      '-p',
      path.join(ROOT, 'tsconfig.build.json'),
      '--outDir',
      dist,
    ])
    expect(compiled.code, compiled.stdout).toBe(0)
    await runProgram('cp', [path.join(ROOT, 'package.json'), place])
    const run = (...args: string[]) => runProgram(process.execPath, [path.join(dist, 'main.js'), ...args])
    expect((await run('--help')).stdout).toContain('Usage: fairlead')
    expect((await run('version')).stdout).toMatch(/^fairlead\s+\d+\.\d+\.\d+$/m)
    const resolved = await run('resolve', `oci:${await demoLayout()}:v1`, '-o', 'json')
    expect(JSON.parse(resolved.stdout)).toMatchObject({ source: { kind: 'oci' } })
    const layout = path.join(place, 'layout')
    await writeLayout(layout, [{ tag: 'large', image: buildImage({ layers: LARGE_LAYERS }) }])
    const unpacked = await run('unpack', `oci:${layout}:large`, path.join(place, 'out'))
    expect(unpacked.stdout, unpacked.stderr).toMatch(/: 3 entries/)
  } finally {
    await rm(place, { recursive: true, force: true })
  }
})
