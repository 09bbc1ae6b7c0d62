/** The sink of the checks keeps what they read, and gives it back through the tree. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { PickSink } from '../../../../src/engine/local/unpack/pick-sink.ts'
import { flattenImage } from '../../../../src/rootfs/flatten-image.ts'
import { treeView } from '../../../../src/rootfs/tree.ts'
import type { FileTree } from '../../../../src/rootfs/types.ts'
import { file, layer, symlink, type LayerPart } from '../../../support/layer.ts'
import { imageOf } from './unpacked.ts'

async function picked(layers: readonly (readonly LayerPart[])[]): Promise<FileTree> {
  const sink = new PickSink()
  onTestFinished(() => sink.dispose())
  const image = imageOf(layers.map((parts) => layer(parts)))
  const { tree } = await flattenImage({ ...image, sink, signal: new AbortController().signal })
  return treeView(tree, (content, maxBytes, offset) => sink.read(content, maxBytes, offset))
}

/** More than the beginning that is kept of files that no check reads whole. */
const LONG = `${'.'.repeat(5000)}end`

describe('picking', () => {
  test.each<[string, LayerPart]>([
    ['bin/app', file('bin/app', LONG, { mode: 0o711 })],
    ['bin/sealed', file('bin/sealed', LONG, { mode: 0o001 })],
    ['lib/libc.so.6', file('lib/libc.so.6', LONG)],
    ['lib/plugin.so', file('lib/plugin.so', LONG)],
    ['etc/passwd', file('./etc/passwd', LONG)],
    ['nix/store/x-passwd', file('nix/store/x-passwd', LONG)],
    ['etc/group', file('/etc/group', LONG)],
    ['etc/ld.so.cache', file('etc/ld.so.cache', LONG)],
    ['etc/ld.so.conf.d/a.conf', file('etc/ld.so.conf.d/a.conf', LONG)],
    ['etc/ld-musl-x86_64.path', file('etc/ld-musl-x86_64.path', LONG)],
  ])('keeps the whole of %s', async (path, part) => {
    const node = (await picked([[part]])).lookup(path.split('/'))
    expect([node?.size, node?.read(10_000).toString(), node?.read(2, 5000).toString()]).toEqual([
      5003,
      LONG,
      'en',
    ])
  })

  test.each(['etc/shadow', 'usr/share/doc', 'src/x.sofa', 'hook.sh'])(
    'keeps the beginning of %s',
    async (path) => {
      const tree = await picked([[file('other', 'x'), file(path, LONG)], [file('another', 'y')]])
      const node = tree.lookup(path.split('/'))
      expect([node?.size, node?.read(10_000).toString(), node?.read(10, 5000).length]).toEqual([
        5003,
        LONG.slice(0, 4096),
        0,
      ])
      expect(tree.lookup(['other'])?.read(9).toString()).toBe('x')
    },
  )

  test('reads an empty file, and the upper of two files', async () => {
    const tree = await picked([
      [file('empty', ''), file('run', 'old', { mode: 0o755 })],
      [file('run', 'new!', { mode: 0o755 }), symlink('l', 'run')],
    ])
    expect(tree.lookup(['empty'])?.read(5)).toHaveLength(0)
    expect(tree.lookup(['run'])?.read(100).toString()).toBe('new!')
    expect(tree.lookup(['run'])?.read(100, 50)).toHaveLength(0)
  })
})
