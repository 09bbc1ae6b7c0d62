import { describe, expect, test } from 'vitest'
import { keyFilesTree, onlyRoot, subtree } from '../../src/bundle/mount-trees.ts'
import { dir, file, tree } from './tree.ts'

const image = tree({ 'opt/ü/data': dir({ uid: 7 }), 'opt/ü/data/in/file': file('x') })

describe('trees of mounts', () => {
  test('show the keys of a Secret as files of root, and nothing below them', () => {
    const keys = keyFilesTree({ token: Buffer.from('abc'), 'ü.txt': Buffer.from('d') })
    expect(keys.lookup([])).toMatchObject({ type: 'directory', uid: 0 })
    expect(keys.lookup(['token'])).toMatchObject({ type: 'file', mode: 0o644, size: 3 })
    expect(keys.lookup(['token'])?.read(2, 1).toString()).toBe('bc')
    expect(keys.lookup(['\u00c3\u00bc.txt'])?.size).toBe(1)
    expect(keys.lookup(['token', 'x'])).toBeUndefined()
    expect(keys.lookup(['constructor'])).toBeUndefined()
  })

  test('show a folder of the image as the root of the mount', () => {
    const seen = subtree(image, '/opt/ü/data')
    expect(seen.lookup([])).toMatchObject({ type: 'directory', uid: 7 })
    expect(seen.lookup(['in', 'file'])?.type).toBe('file')
  })

  test('show owner and mode of a folder, but nothing of what is in it', () => {
    const seen = onlyRoot(image, '/opt/ü/data')
    expect(seen.lookup([])).toMatchObject({ type: 'directory', uid: 7 })
    expect(seen.lookup(['in'])).toBeUndefined()
  })
})
