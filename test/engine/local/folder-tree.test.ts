/** A folder as a tree: everything that a file system says of its names, and nothing from anywhere else. */
import { link, mkdir, rename, rm, symlink, truncate, utimes, writeFile, chmod } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { readFolderTree, type FolderTree } from '../../../src/engine/local/folder-tree.ts'
import { TarWords } from '../../../src/engine/local/tar-words.ts'
import { toBuffer } from '../../../src/image/bytes.ts'
import { diffTrees } from '../../../src/rootfs/diff.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import { visitTree } from '../../../src/rootfs/tree.ts'
import type { Inode, LayerLimits } from '../../../src/rootfs/types.ts'
import { failureOf } from '../../support/expected-error.ts'
import { runToEnd, temporaryFolder } from './temporary.ts'

let top: string
let folder: string

beforeEach(async () => {
  top = await temporaryFolder()
  folder = path.join(top, 'folder')
  await mkdir(folder)
})

const at = (name: string) => path.join(folder, name)

function read(dir: string = folder, limits: LayerLimits = DEFAULT_LIMITS): Promise<FolderTree> {
  return readFolderTree(dir, { words: 'the folder', limits, signal: new AbortController().signal })
}

async function inodes(dir?: string): Promise<ReadonlyMap<string, Inode>> {
  const found = new Map<string, Inode>()
  visitTree((await read(dir)).tree, ({ inode }, names) => void found.set(names.join('/'), inode))
  return found
}

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

describe('of sparse files', () => {
  test('the content has its holes', async () => {
    await writeFile(at('f'), 'content')
    await truncate(at('f'), 3_000_000)
    const file = (await inodes()).get('f')
    expect(file?.size).toBe(3_000_000)
    expect(file?.content?.digest).toBe(digestOf(`content${'\0'.repeat(3_000_000 - 7)}`))
  })

  test('a giant has no digest, is not read for hours, and stops nothing else', async () => {
    await writeFile(at('giant'), '')
    await truncate(at('giant'), 2 ** 40)
    await writeFile(at('other'), 'content')
    const found = await inodes()
    expect(found.get('giant')).toMatchObject({
      size: 2 ** 40,
      content: {
        size: 2 ** 40,
        unread: 'a sparse file of 1099511627776 bytes; of holes no more than 128 GiB are read',
      },
    })
    expect(found.get('other')?.content?.digest).toBe(digestOf('content'))
  })
})

describe('the tree has', () => {
  test('content by digest, mode and time to the nanosecond', async () => {
    await writeFile(at('f'), 'content')
    await chmod(at('f'), 0o4750)
    await runToEnd(['touch', '-d', '2001-02-03T04:05:06.123456789Z', at('f')])
    expect((await inodes()).get('f')).toMatchObject({
      type: 'file',
      mode: 0o4750,
      size: 7,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      mtime: { seconds: 981173106, nanoseconds: 123456789 },
      content: { digest: digestOf('content') },
    })
  })

  test('its own attributes', async () => {
    await chmod(folder, 0o2711)
    expect((await read()).tree.inode).toMatchObject({ type: 'directory', mode: 0o2711 })
  })

  test('links as they are, never what they point at', async () => {
    await writeFile(path.join(top, 'secret'), 'outside')
    await symlink('../secret', at('out'))
    await symlink(path.join(top), at('dir'))
    const found = await inodes()
    expect(found.get('out')).toMatchObject({ type: 'symlink', linkTarget: '../secret' })
    expect([...found.keys()].sort()).toEqual(['dir', 'out'])
  })

  test('hard links as one inode', async () => {
    await writeFile(at('a'), 'x')
    await mkdir(at('d'))
    await link(at('a'), at('d/b'))
    const found = await inodes()
    expect(found.get('a')).toBe(found.get('d/b'))
  })

  test('names that are bytes, long ones and those that look like whiteouts', async () => {
    const long = Array.from({ length: 12 }, () => 'n'.repeat(200)).join('/')
    await mkdir(at(long), { recursive: true })
    await writeFile(toBuffer(`${folder}/n\u00ff\u0001 \n`), '')
    await writeFile(at('.wh.kept'), '')
    await writeFile(at('.wh..wh..opq'), '')
    const names = [...(await inodes()).keys()]
    expect(names).toEqual(expect.arrayContaining([long, 'n\u00ff\u0001 \n', '.wh.kept', '.wh..wh..opq']))
  })

  test('extended attributes, whatever their names and bytes', async () => {
    await writeFile(at('f'), '')
    for (const [name, value] of [
      ['user.a=b', '0x31'],
      ['user.p%3Dc', '0x32'],
      ['user.bytes', '0x80ff00'],
    ] as const)
      expect(await runToEnd(['setfattr', '-n', name, '-v', value, at('f')])).toMatchObject({ code: 0 })
    const xattrs = (await inodes()).get('f')?.xattrs
    expect([...(xattrs ?? [])].map(([name, value]) => [name, value.toString('hex')])).toEqual(
      expect.arrayContaining([
        ['user.a=b', '31'],
        ['user.p%3Dc', '32'],
        ['user.bytes', '80ff00'],
      ]),
    )
  })

  test('a FIFO, which is not opened', async () => {
    await runToEnd(['mkfifo', at('fifo')])
    expect((await inodes()).get('fifo')).toMatchObject({ type: 'fifo', size: 0 })
  })

  test('no socket, and says so', async () => {
    const server = createServer().listen(at('sock'))
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { tree, notes } = await read()
    expect([tree.children?.has('sock'), notes]).toEqual([false, ['sock: socket ignored']])
  })
})

describe('two folders', () => {
  test('of equal sizes and times differ by content, and by a symlink of equal length', async () => {
    for (const [name, content, target] of [
      ['a', 'aa', 'f1'],
      ['b', 'bb', 'f2'],
    ] as const) {
      await mkdir(at(name))
      await writeFile(at(`${name}/f`), content)
      await symlink(target, at(`${name}/l`))
      for (const each of [`${name}/f`, name]) await utimes(at(each), 1000, 1000)
      await runToEnd(['touch', '--no-dereference', '-d', '@1000.5', at(`${name}/l`)])
    }
    const changes = diffTrees((await read(at('a'))).tree, (await read(at('b'))).tree)
    expect(changes.map(({ path: name, fields }) => [name, ...fields])).toEqual([
      ['/f', 'content'],
      ['/l', 'target'],
    ])
  })

  test('are equal when one is a copy', async () => {
    await mkdir(at('a/d'), { recursive: true })
    await writeFile(at('a/d/f'), 'x')
    await link(at('a/d/f'), at('a/d/g'))
    await runToEnd(['cp', '-a', at('a'), at('b')])
    expect(diffTrees((await read(at('a'))).tree, (await read(at('b'))).tree)).toEqual([])
  })
})

describe('what cannot be read is told', () => {
  test.each<[string, string, string]>([
    ['a folder that is not there', 'nowhere', 'there is no folder the folder'],
    ['a file', 'file', 'the folder is no folder'],
  ])('%s', async (_title, name, message) => {
    await writeFile(at('file'), '')
    const failure = await failureOf(() => read(at(name)))
    expect(failure).toBe(`NotFound: ${message}`)
  })

  test('a folder that is larger than the limits', async () => {
    for (const name of ['a', 'b', 'c']) await writeFile(at(name), '')
    const failure = await failureOf(() => read(folder, { ...DEFAULT_LIMITS, maxEntries: 3 }))
    expect(failure).toMatch(/^LimitExceeded: the folder \(.*\): more than 3 entries/)
  })

  test('a command that was interrupted ends', async () => {
    const abort = new AbortController()
    const reading = readFolderTree('/usr', { words: 'x', signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
  })

  test('a link to the folder itself is followed: it is the caller who wrote it', async () => {
    await writeFile(at('f'), '')
    await symlink('folder', path.join(top, 'link'))
    expect([...(await inodes(path.join(top, 'link'))).keys()]).toEqual(['f'])
  })
})

test('a folder that changes all the time is read, and leads nowhere else', async () => {
  await mkdir(path.join(top, 'outside'))
  await writeFile(path.join(top, 'outside/secret'), 'secret')
  const over = new AbortController()
  const change = async () => {
    await symlink('../outside', at('trap'))
    while (!over.signal.aborted) {
      await mkdir(at('d/e'), { recursive: true })
      await writeFile(at('d/e/f'), 'x'.repeat(100_000))
      await rename(at('d'), at('aside'))
      await rename(at('trap'), at('d'))
      await rename(at('d'), at('trap'))
      await rm(at('aside'), { recursive: true })
    }
  }
  const changing = change()
  try {
    for (let round = 0; round < 40; round++) {
      const names = [...(await inodes()).keys()]
      expect(names.filter((name) => name.includes('secret'))).toEqual([])
    }
  } finally {
    over.abort()
    await changing
  }
})

describe("tar's words", () => {
  function heard(...lines: readonly string[]): TarWords {
    const words = new TarWords()
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
    // In pieces, as a pipe may hand them over.
    for (const piece of [bytes.subarray(0, 7), bytes.subarray(7)]) words.add(piece)
    return words
  }

  test.each<[string, string]>([
    ['tar: ./a: file changed as we read it', 'a: file changed as we read it'],
    ['tar: ./a b: File removed before we read it', 'a b: File removed before we read it'],
    [
      'tar: ./a: File shrank by 12 bytes; padding with zeros',
      'a: File shrank by 12 bytes; padding with zeros',
    ],
    ['tar: ./s: socket ignored', 's: socket ignored'],
    ['tar: ./d: Cannot open: Not a directory', 'd: Cannot open: Not a directory'],
    [
      'tar: ./l: Cannot open: Too many levels of symbolic links',
      'l: Cannot open: Too many levels of symbolic links',
    ],
    ['tar: ./\u001b[2J: socket ignored', '\\u001b[2J: socket ignored'],
  ])('%j is a note', (line, note) => {
    const words = heard(line, 'tar: Exiting with failure status due to previous errors')
    expect([words.trouble, words.notes()]).toEqual([undefined, [note]])
  })

  test.each<[string, string]>([
    ['tar: ./x: Cannot open: Permission denied', 'x: Cannot open: Permission denied'],
    ['tar: ./x: Read error at byte 0, while reading 10 bytes: Input/output error', 'x: Read error'],
    ['tar: : socket ignored: Cannot open: Permission denied', 'Permission denied'],
  ])('%j is a failure', (line, trouble) => {
    expect(heard('tar: ./a: socket ignored', line).trouble).toContain(trouble)
  })

  test('are bounded, however many', () => {
    const words = heard(...Array.from({ length: 1000 }, (_, index) => `tar: ./${index}: socket ignored`))
    expect(words.notes()).toHaveLength(21)
    expect(words.notes().at(-1)).toBe('and 980 more')
  })
})
