import { describe, expect, test } from 'vitest'
import { containerView } from '../../src/bundle/view.ts'
import type { MountView } from '../../src/bundle/types.ts'
import type { FileTree } from '../../src/rootfs/types.ts'
import { dir, file, tree } from './tree.ts'

const text = (view: FileTree, path: string): string | undefined => {
  const node = view.lookup(path.split('/').filter((part) => part !== ''))
  return node?.type === 'file' ? node.read(100).toString() : node?.type
}

function mount(destination: string, content: FileTree, noexec = false): MountView {
  return { destination, tree: content, noexec, label: `volume ${destination}` }
}

describe('containerView', () => {
  const image = tree({
    'data/a': file('image a'),
    'data/deep/b': file('image b'),
    'other/c': file('image c'),
    'dev/null': file('image null'),
  })

  test('shows the image where nothing is mounted', () => {
    const view = containerView(image, [])
    expect(text(view, '/other/c')).toBe('image c')
    expect(view.mountAt(['other', 'c'])).toBeUndefined()
    expect(view.lookup([])?.type).toBe('directory')
  })

  test('hides what a mount lies over, also where the mount has nothing', () => {
    const view = containerView(image, [mount('/data', tree({ z: file('volume z') }))])
    expect(text(view, '/data/z')).toBe('volume z')
    expect(text(view, '/data/a')).toBeUndefined()
    expect(text(view.image, '/data/a')).toBe('image a')
    expect(view.mountAt(['data', 'a'])?.label).toBe('volume /data')
    expect(view.mountAt(['data'])?.label).toBe('volume /data')
    expect(view.mountAt(['data2'])).toBeUndefined()
  })

  test.each([
    ['parent first', ['/data', '/data/deep']],
    ['child first', ['/data/deep', '/data']],
  ])('mounts by depth, whatever the order: %s', (_, order) => {
    const trees: Record<string, FileTree> = {
      '/data': tree({ 'deep/x': file('outer') }),
      '/data/deep': tree({ x: file('inner') }),
    }
    const view = containerView(
      image,
      order.map((path) => mount(path, trees[path] ?? tree({}))),
    )
    expect(text(view, '/data/deep/x')).toBe('inner')
    expect(view.mountAt(['data', 'deep', 'x'])?.destination).toBe('/data/deep')
    expect(view.mountAt(['data', 'other'])?.destination).toBe('/data')
  })

  test('shows the later one of two mounts at one place', () => {
    const view = containerView(image, [
      mount('/data', tree({ x: file('1') })),
      mount('/data', tree({ x: file('2') })),
    ])
    expect(text(view, '/data/x')).toBe('2')
  })

  test('has the folders that lead to a mount point', () => {
    const view = containerView(image, [
      mount('/new/deep/er', tree({ x: file('x') })),
      mount('/data', tree({})),
      mount('/data/in', tree({})),
    ])
    expect(view.lookup(['new'])).toMatchObject({ type: 'directory', mode: 0o755, uid: 0 })
    expect(text(view, '/new/deep')).toBe('directory')
    expect(text(view, '/new/deep/er/x')).toBe('x')
    expect(text(view, '/data/in')).toBe('directory')
    expect(text(view, '/new/other')).toBeUndefined()
  })

  test('mounts a single file', () => {
    const single: FileTree = { lookup: (names) => (names.length === 0 ? file('hosts') : undefined) }
    expect(text(containerView(image, [mount('/etc/hosts', single)]), '/etc/hosts')).toBe('hosts')
  })

  test('puts the runtime’s own mounts over the image', () => {
    const view = containerView(tree({ 'dev/tool': file('x'), 'proc/tool': file('x'), 'sys/x': dir() }), [])
    expect(text(view, '/dev/tool')).toBeUndefined()
    expect(text(view, '/proc/tool')).toBeUndefined()
    expect(text(view, '/proc')).toBe('directory')
    expect(view.mountAt(['proc', 'x'])?.noexec).toBe(true)
  })

  test('lists what it shows', () => {
    const view = containerView(image, [mount('/data', tree({ z: file('') }))])
    expect(view.list?.(['data'])).toEqual(['z'])
    expect(view.list?.(['other'])).toEqual(['c'])
    expect(view.list?.(['nowhere'])).toBeUndefined()
  })
})
