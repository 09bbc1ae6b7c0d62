/** A full disk: DiskFull, and everything written is gone again. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ExpectedError } from '../../../../src/errors.ts'
import { file, type LayerPart } from '../../../support/layer.ts'
import { IS_ROOT, privateFolder, unpack } from './unpacked.ts'

function tmpfs(options: string): string {
  const folder = privateFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder])
  onTestFinished(() => void execFileSync('umount', [folder]))
  return folder
}

const MANY = Array.from({ length: 60 }, (_, index) => file(`d${index}/f`, 'x'))

describe.runIf(IS_ROOT)('a full disk', () => {
  test.each<[string, string, readonly LayerPart[]]>([
    ['while content is written', 'size=1m', [file('big', Buffer.alloc(3_000_000, 'x'))]],
    ['while many files are written', 'size=1m,nr_inodes=40', MANY],
    ['while the tree is made', 'size=1m,nr_inodes=90', MANY],
  ])('%s is DiskFull and leaves nothing behind', async (_title, options, parts) => {
    const folder = tmpfs(options)
    const target = join(folder, 'out')
    await expect(unpack(target, [parts])).rejects.toMatchObject({ reason: 'DiskFull', retry: 'backoff' })
    await expect(unpack(target, [parts])).rejects.toBeInstanceOf(ExpectedError)
    expect(readdirSync(folder)).toEqual([])
  })

  test('elsewhere is no matter: the staging folder lies beside the target', async () => {
    const folder = tmpfs('size=1m')
    mkdirSync(join(folder, 'empty'))
    await unpack(join(folder, 'empty'), [[file('small', 'x')]])
    expect(readdirSync(folder)).toEqual(['empty'])
  })
})
