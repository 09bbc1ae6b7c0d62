/** A live folder that somebody hostile writes to: looking into it never leads out, hangs or fails. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hostTree } from '../../../../src/engine/local/host-tree.ts'
import { privateFolder } from './unpacked.ts'

describe('a folder on disk', () => {
  test('is not left through a symlinked directory, not even one that appears after the look', () => {
    const folder = privateFolder()
    mkdirSync(join(folder, 'secret'))
    writeFileSync(join(folder, 'secret', 'key'), 'secret')
    mkdirSync(join(folder, 'root', 'd'), { recursive: true })
    writeFileSync(join(folder, 'root', 'd', 'key'), 'mine')
    const tree = hostTree(join(folder, 'root'))
    const node = tree.lookup(['d', 'key'])
    expect(node?.read(10).toString()).toBe('mine')
    renameSync(join(folder, 'root', 'd'), join(folder, 'root', 'old'))
    symlinkSync('../secret', join(folder, 'root', 'd'))
    expect(node?.read(10).toString()).toBe('')
    expect(tree.lookup(['d', 'key'])).toBeUndefined()
    expect(tree.list?.(['d'])).toBeUndefined()
    expect(tree.lookup(['d'])).toMatchObject({ type: 'symlink', linkTarget: '../secret' })
  })

  test('is not left through a file that becomes a symlink', () => {
    const folder = privateFolder()
    mkdirSync(join(folder, 'root'))
    writeFileSync(join(folder, 'secret'), 'secret')
    writeFileSync(join(folder, 'root', 'f'), 'mine')
    const node = hostTree(join(folder, 'root')).lookup(['f'])
    rmSync(join(folder, 'root', 'f'))
    symlinkSync('../secret', join(folder, 'root', 'f'))
    expect(node?.read(10)).toHaveLength(0)
  })

  test('may have FIFOs and sockets, which are never waited for', async () => {
    const folder = privateFolder()
    execFileSync('mkfifo', [join(folder, 'pipe')])
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve))
    const tree = hostTree(folder)
    expect([tree.lookup(['pipe'])?.type, tree.lookup(['socket'])?.type]).toEqual(['fifo', 'socket'])
    expect([tree.lookup(['pipe'])?.read(1).length, tree.lookup(['socket'])?.read(1).length]).toEqual([0, 0])
    await new Promise((resolve) => server.close(resolve))
  })

  test('has attributes and odd names', () => {
    const folder = privateFolder()
    const name = Buffer.from([0x66, 0xff, 0x0a])
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), 'x')
    chmodSync(Buffer.concat([Buffer.from(`${folder}/`), name]), 0o4750)
    const tree = hostTree(folder)
    expect(tree.list?.([])).toEqual(['f\u00ff\n'])
    expect(tree.lookup(['f\u00ff\n'])).toMatchObject({
      type: 'file',
      mode: 0o4750,
      uid: process.getuid?.(),
      size: 1,
    })
    expect(tree.lookup([])).toMatchObject({ type: 'directory', size: 0 })
  })

  test('may be missing, be a file, or be named by a symlink', () => {
    const folder = privateFolder()
    writeFileSync(join(folder, 'file'), 'x')
    symlinkSync('.', join(folder, 'alias'))
    expect(hostTree(join(folder, 'missing')).lookup([])).toBeUndefined()
    expect(hostTree(join(folder, 'file')).lookup([])).toBeUndefined()
    expect(hostTree(join(folder, 'alias')).lookup(['file'])?.read(1).toString()).toBe('x')
    expect(hostTree(folder).lookup(['file', 'x'])).toBeUndefined()
    expect(hostTree(folder).lookup(['n'.repeat(300)])).toBeUndefined()
  })

  test('keeps no descriptors open', () => {
    const folder = privateFolder()
    mkdirSync(join(folder, 'a', 'b'), { recursive: true })
    const count = (): number =>
      Number(execFileSync('sh', ['-c', `ls /proc/${process.pid}/fd | wc -l`], { encoding: 'utf8' }))
    const before = count()
    for (let round = 0; round < 50; round += 1) {
      hostTree(folder).lookup(['a', 'b', 'none'])
      hostTree(folder).list?.(['a', 'b'])
      hostTree(folder).lookup(['a', 'b'])?.read(1)
    }
    expect(count()).toBeLessThan(before + 10)
  })
})
