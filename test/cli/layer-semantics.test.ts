/** `--layer-semantics` and what commands say of images that nodes show otherwise. */
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import { beforeEach, describe, expect, test } from 'vitest'
import type { UnpackReport } from '../../src/engine/local/unpack/unpack-image.ts'
import { buildElf } from '../support/elf.ts'
import { dir, file, hardlink, layer, symlink } from '../support/layer.ts'
import { buildImage, writeLayout } from '../support/layout.ts'
import { Desk } from './run.ts'

const LOWER = layer([
  dir('usr'),
  dir('usr/lib'),
  symlink('lib', 'usr/lib'),
  file('app', buildElf(), { mode: 0o755 }),
  file('f', 'f'),
])
const IMAGE = { Entrypoint: ['/app'] }

let desk: Desk
beforeEach(async () => {
  desk = new Desk()
  await writeLayout(join(desk.dir, 'layout'), [
    { tag: 'link', image: buildImage({ layers: [LOWER, layer([file('lib/x', 'x')])], config: IMAGE }) },
    { tag: 'fails', image: buildImage({ layers: [LOWER, layer([hardlink('h', 'f')])], config: IMAGE }) },
    {
      tag: 'fails-twice',
      image: buildImage({
        layers: [
          LOWER,
          layer([file('lib/x', 'x')]),
          layer([hardlink('h', 'f')]),
          layer([hardlink('i', 'f')]),
        ],
        config: IMAGE,
      }),
    },
    { tag: 'plain', image: buildImage({ layers: [LOWER], config: IMAGE }) },
  ])
  return () => desk[Symbol.dispose]()
})

const SHOWN =
  'nodes with overlayfs show something else than the image specification says in 2 places, first /lib (layer 1, parent-symlink): '

describe.skipIf(geteuid?.() !== 0)('unpack', () => {
  test('follows symlinks of lower layers, and says what nodes do', async () => {
    const { code, stderr } = await desk.run(['unpack', 'oci:layout:link', 'out'])
    expect(code).toBe(0)
    expect(stderr).toContain(SHOWN)
    expect(stderr).toMatch(/; --report lists all that was found\n$/)
    expect(lstatSync(join(desk.dir, 'out/rootfs/lib')).isSymbolicLink()).toBe(true)
    expect(existsSync(join(desk.dir, 'out/rootfs/usr/lib/x'))).toBe(true)
  })

  test('makes what nodes show when asked, and the report is the same', async () => {
    const args = ['unpack', 'oci:layout:link']
    await desk.run([...args, 'spec', '--report', 'spec.json'])
    expect(
      await desk.run([...args, 'nodes', '--layer-semantics', 'overlayfs', '--report', 'nodes.json']),
    ).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/; the report lists all that was found\n$/) as string,
    })
    expect(lstatSync(join(desk.dir, 'nodes/rootfs/lib')).isDirectory()).toBe(true)
    expect(existsSync(join(desk.dir, 'nodes/rootfs/lib/x'))).toBe(true)
    const [spec, nodes] = ['spec', 'nodes'].map(
      (name) => JSON.parse(readFileSync(join(desk.dir, `${name}.json`), 'utf8')) as UnpackReport,
    )
    expect(spec?.divergences.map(({ path, rule }) => `${rule} ${path}`)).toEqual([
      'parent-symlink /lib',
      'parent-symlink /usr/lib/x',
    ])
    expect(nodes?.divergences).toEqual(spec?.divergences)
  })

  test('reports every reason why nodes cannot unpack an image, and compares no tree then', async () => {
    await desk.run(['unpack', 'oci:layout:fails-twice', 'out', '--report', 'report.json'])
    const report = JSON.parse(readFileSync(join(desk.dir, 'report.json'), 'utf8')) as UnpackReport
    expect(report.divergences.map(({ path, rule }) => `${rule} ${path}`)).toEqual([
      'hard-link-to-lower-file /h',
      'hard-link-to-lower-file /i',
    ])
  })

  test('is refused where nodes would fail', async () => {
    const result = await desk.run(['unpack', 'oci:layout:fails', 'out', '--layer-semantics', 'overlayfs'])
    expect(result).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^InvalidLayer: layer 1 \(h\): nodes with overlayfs can't/) as string,
    })
    expect(existsSync(join(desk.dir, 'out'))).toBe(false)
  })
})

test('other rules are wrong usage', async () => {
  expect(await desk.run(['unpack', 'oci:layout:link', 'out', '--layer-semantics', 'aufs'])).toMatchObject({
    code: 2,
  })
})

test('diff compares images as nodes show them', async () => {
  const args = ['diff', 'oci:layout:plain', 'oci:layout:link', '-o', 'json']
  const paths = async (more: readonly string[]) => {
    const { stdout } = await desk.run([...args, ...more])
    return (JSON.parse(stdout) as { tree: { path: string }[] }).tree.map(({ path }) => path)
  }
  expect(await paths([])).toContain('/usr/lib/x')
  const onNodes = await paths(['--layer-semantics', 'overlayfs'])
  expect(onNodes).toContain('/lib')
  expect(onNodes).not.toContain('/usr/lib/x')
})

test.each([[['app://web']], [['volume://web:/data']], [['app://web', './folder']]])(
  'diff of %j, where no image is named that could be merged by other rules, refuses them',
  async (sides) => {
    const { code, stderr } = await desk.run(['diff', ...sides, '--layer-semantics', 'overlayfs'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('--layer-semantics: only an image')])
  },
)

describe('check', () => {
  async function issues(tag: string, policy: string, args: readonly string[] = []) {
    const text = `apiVersion: fairlead.dev/v1alpha1\nkind: ContainerApp\nmetadata: {name: web}\nspec:\n  image: oci:layout:${tag}\n${policy}`
    writeFileSync(join(desk.dir, 'app.yaml'), text)
    const { stdout } = await desk.run(['check', '-f', 'app.yaml', '-o', 'json', ...args])
    return (JSON.parse(stdout) as { issues: { reason: string; message: string }[] }).issues
  }

  test('warns of an image that nodes show otherwise', async () => {
    expect(await issues('link', '')).toMatchObject([
      { severity: 'warning', reason: 'LayersDiverge', path: 'spec.image' },
    ])
    expect(await issues('plain', '')).toEqual([])
  })

  test('names the layer that nodes refuse once, and what refuses it', async () => {
    const [warned] = await issues('fails', '')
    expect(warned?.message).toMatch(
      /layerSemantics: overlayfs does as nodes do, and refuses what they refuse$/,
    )
    const [refused] = await issues('fails', '  imagePolicy: {layerSemantics: overlayfs}\n')
    expect(refused).toMatchObject({ severity: 'error', reason: 'InvalidLayer', path: 'spec.image' })
    expect(refused?.message).toMatch(/^layer \d \(/)
  })

  test('says that the app sees what nodes show where that is asked for', async () => {
    const [issue] = await issues('link', '  imagePolicy: {layerSemantics: overlayfs}\n')
    expect(issue?.message).toMatch(/; as imagePolicy\.layerSemantics asks, the app sees what nodes show$/)
  })
})
