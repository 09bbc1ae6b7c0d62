/** Files are created as they are to be, and folders of them moved whole: neither may ever show in the tree. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dir, file, hardlink, whiteout, type LayerPart } from '../../../support/layer.ts'
import { found, IS_ROOT, privateFolder, unpack } from './unpacked.ts'

const at = { mtime: 1 }

function modes(folder: string): readonly string[] {
  return found(join(folder, 'rootfs')).map((line) => line.split(' ').slice(0, 2).join(' '))
}

test.each([0o000, 0o022, 0o077, 0o777])('modes are the same under umask %i', async (umask) => {
  const target = join(privateFolder(), 'out')
  const before = process.umask(umask)
  onTestFinished(() => void process.umask(before))
  const files = [0o644, 0o755, 0o600, 0o666, 0o777, 0o000].map((mode) =>
    file(mode.toString(8), 'x', { mode }),
  )
  await unpack(target, [files], { keepIds: IS_ROOT })
  expect(modes(target)).toEqual(['f 0', 'f 600', 'f 644', 'f 666', 'f 755', 'f 777'])
})

describe('a directory has what the tree says', () => {
  const all = [file('d/a', 'a', at), file('d/b', 'b', at), file('d/c', 'c', at)]

  test.each<[string, readonly (readonly LayerPart[])[], readonly string[]]>([
    ['when nothing changed', [all], ['a', 'b', 'c']],
    ['when a file is hidden above', [all, [whiteout('d/a')]], ['b', 'c']],
    ['when a file is replaced above', [all, [file('d/b', 'new', at)]], ['a', 'b', 'c']],
    [
      'when most files are replaced above',
      [all, [file('d/b', '1', at), file('d/c', '2', at)]],
      ['a', 'b', 'c'],
    ],
    [
      'when files are added above',
      [all, [file('d/d', 'x', at), file('d/e', 'x', at)]],
      ['a', 'b', 'c', 'd', 'e'],
    ],
    ['when a file has two names in it', [[...all, hardlink('d/twin', 'd/a')]], ['a', 'b', 'c', 'twin']],
    ['when a file has another name elsewhere', [[...all, hardlink('twin', 'd/a')]], ['a', 'b', 'c']],
    ['when a name comes twice', [[...all, file('d/a', 'again', at)]], ['a', 'b', 'c']],
    [
      'when it comes under two names',
      [[file('d/a', 'a', at), file('./d/b', 'b', at), file('d//c', 'c', at)]],
      ['a', 'b', 'c'],
    ],
    [
      'when it is named like a folder of content',
      [[file('d/0', 'x', at), file('d/n', 'x', at), file('0/n', 'x', at)]],
      ['0', 'n'],
    ],
    ['when it is hidden and made again', [all, [whiteout('d'), dir('d'), file('d/z', 'z', at)]], ['z']],
    [
      'when it moves through a link',
      [[...all], [file('d/a', 'new', at), hardlink('d/old', 'd/b')]],
      ['a', 'b', 'c', 'old'],
    ],
  ])('%s', async (_title, layers, names) => {
    const target = join(privateFolder(), 'out')
    const report = await unpack(target, layers, { keepIds: IS_ROOT })
    expect(readdirSync(join(target, 'rootfs/d')).sort()).toEqual(names)
    expect(found(join(target, 'rootfs'))).toHaveLength(report.entries)
    expect(readdirSync(target).sort()).toEqual(['report.json', 'rootfs'])
  })
})
