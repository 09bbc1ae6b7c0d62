import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  diskError,
  ensureFolder,
  isMissing,
  listFolder,
  readJson,
  readRecord,
  removeFolder,
  sweepRemoved,
  sweepTemporary,
  writeFileAtomic,
  writeJson,
} from '../../../src/engine/local/disk.ts'
import { readStateFile } from '../../../src/engine/local/state-file.ts'
import { ExpectedError } from '../../../src/errors.ts'
import { failureOf } from '../../support/expected-error.ts'
import { node, runToEnd, temporaryFolder, withUmask } from './temporary.ts'

const modeOf = async (file: string) => (await stat(file)).mode & 0o7777

test.each(['null', '[]', '{}', '"x"', '5', '{"phase":1}', '{"path":"/a"}'])(
  'a record that is %s is damaged, and its file is named',
  async (text) => {
    const file = path.join(await temporaryFolder(), 'volume.json')
    await writeFile(file, text)
    await expect(readRecord(file, ['path', 'phase'])).rejects.toMatchObject({
      reason: 'StateCorrupt',
      path: file,
    })
  },
)

describe('writeFileAtomic', () => {
  test('a reader sees the old content or the new one, whole, never anything else', async () => {
    const file = path.join(await temporaryFolder(), 'state')
    const contents = ['a', 'b'].map((letter) => letter.repeat(300_000))
    await writeFileAtomic(file, contents[0] ?? '')
    const writing = new AbortController()
    const seen = new Set<string>()
    const writer = (async () => {
      for (let n = 0; n < 40; n++) await writeFileAtomic(file, contents[n % 2] ?? '')
      writing.abort()
    })()
    const reader = async () => {
      while (!writing.signal.aborted) {
        const text = await readFile(file, 'utf8')
        seen.add(`${text.length} ${[...new Set(text)].join('')}`)
      }
    }
    await Promise.all([writer, reader(), reader()])
    expect([...seen].toSorted()).toEqual(['300000 a', '300000 b'])
  })

  test('a name may be as long as the file system allows', async () => {
    const file = path.join(await temporaryFolder(), 'k'.repeat(255))
    await writeFileAtomic(file, 'value')
    expect(await readStateFile(file)).toBe('value')
  })

  test('of many writers at once one wins whole, and nothing is left beside the file', async () => {
    const dir = await temporaryFolder()
    const file = path.join(dir, 'state')
    const letters = ['a', 'b', 'c', 'd', 'e', 'f']
    await Promise.all(letters.map((letter) => writeFileAtomic(file, letter.repeat(100_000))))
    expect(letters.map((letter) => letter.repeat(100_000))).toContain(await readFile(file, 'utf8'))
    expect(await readdir(dir)).toEqual(['state'])
  })

  test.each([
    ['private by default', undefined, 0o022, 0o600],
    ['private by default whatever the umask', undefined, 0o000, 0o600],
    ['readable by others when asked for, whatever the umask', 0o644, 0o077, 0o644],
    ['as asked for', 0o400, 0o022, 0o400],
  ])('a file is %s', async (_title, mode, umask, expected) => {
    const file = path.join(await temporaryFolder(), 'state')
    await withUmask(umask, () => writeFileAtomic(file, 'x', mode))
    expect(await modeOf(file)).toBe(expected)
  })

  test('a symlink in the way is replaced; what it leads to stays as it is', async () => {
    const dir = await temporaryFolder()
    const [file, other] = [path.join(dir, 'state'), path.join(dir, 'other')]
    await writeFile(other, 'precious')
    await symlink(other, file)
    await writeFileAtomic(file, 'new')
    expect(await readFile(other, 'utf8')).toBe('precious')
    expect(await readFile(file, 'utf8')).toBe('new')
  })

  test('a write that fails leaves nothing behind', async () => {
    const dir = await temporaryFolder()
    await mkdir(path.join(dir, 'state'))
    await expect(writeFileAtomic(path.join(dir, 'state'), 'x')).rejects.toMatchObject({
      reason: 'StateCorrupt',
    })
    expect(await readdir(dir)).toEqual(['state'])
  })
})

describe('a process that is killed', () => {
  const crashAfter = async (writes: number) => {
    const dir = await temporaryFolder()
    const ended = await runToEnd(node('write-files.ts', dir), {
      env: { FAIRLEAD_CRASH_AFTER_WRITE: String(writes) },
    })
    return { dir, ended }
  }

  test.each([
    [1, 'one', []],
    [2, 'two', []],
    [3, 'two', []],
    [4, 'three', []],
  ])('after write %i leaves the file of that write: %s', async (writes, content) => {
    const { dir, ended } = await crashAfter(writes)
    expect(ended).toMatchObject({ signal: 'SIGKILL' })
    expect(ended.stderr).toContain(`crash point ${writes}: `)
    expect(await readFile(path.join(dir, 'file'), 'utf8')).toBe(content)
  })

  test('during a removal leaves no half of the folder under its name, and a sweep takes the rest', async () => {
    const { dir } = await crashAfter(3)
    const names = await readdir(dir)
    expect(names).toHaveLength(2)
    expect(names.filter((name) => name.startsWith('.removed-'))).toHaveLength(1)
    await sweepRemoved(dir)
    expect(await readdir(dir)).toEqual(['file'])
  })

  test('not at all without the variable', async () => {
    const dir = await temporaryFolder()
    const ended = await runToEnd(node('write-files.ts', dir))
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(await readdir(dir)).toEqual(['file'])
  })
})

describe('folders', () => {
  test.each([
    [undefined, 0o022, 0o700],
    [0o755, 0o077, 0o755],
    [0o755, 0o000, 0o755],
  ])('made with mode %s under umask %i have mode %i', async (mode, umask, expected) => {
    const dir = path.join(await temporaryFolder(), 'a')
    await withUmask(umask, () => ensureFolder(dir, mode))
    expect(await modeOf(dir)).toBe(expected)
  })

  test('that are there already stay as they are', async () => {
    const dir = await temporaryFolder()
    await mkdir(path.join(dir, 'a'), { mode: 0o711 })
    await ensureFolder(path.join(dir, 'a'))
    expect(await modeOf(path.join(dir, 'a'))).toBe(0o711)
  })

  test('that are not there have no names and can be removed', async () => {
    const dir = path.join(await temporaryFolder(), 'none')
    expect(await listFolder(dir)).toEqual([])
    await removeFolder(dir)
    await sweepRemoved(dir)
  })

  test('are removed with everything in them, links not followed', async () => {
    const dir = await temporaryFolder()
    await mkdir(path.join(dir, 'keep'))
    await writeFile(path.join(dir, 'keep', 'file'), 'x')
    await mkdir(path.join(dir, 'gone', 'deep'), { recursive: true })
    await symlink(path.join(dir, 'keep'), path.join(dir, 'gone', 'link'))
    await removeFolder(path.join(dir, 'gone'))
    expect(await readdir(dir)).toEqual(['keep'])
    expect(await readdir(path.join(dir, 'keep'))).toEqual(['file'])
  })

  test('a link to a folder is removed, not the folder', async () => {
    const dir = await temporaryFolder()
    await mkdir(path.join(dir, 'real', 'x'), { recursive: true })
    await symlink('real', path.join(dir, 'link'))
    await removeFolder(path.join(dir, 'link'))
    expect(await listFolder(dir)).toEqual(['real'])
    expect(await listFolder(path.join(dir, 'real'))).toEqual(['x'])
  })
})

describe('readJson', () => {
  test('reads what writeJson wrote', async () => {
    const file = path.join(await temporaryFolder(), 'state.json')
    const value = { a: [1, null, 'ü\u0000'], b: { c: true } }
    await writeJson(file, value)
    expect(await readJson(file)).toEqual(value)
  })

  test('of a file that is not there is undefined, also below a file', async () => {
    const dir = await temporaryFolder()
    await writeFile(path.join(dir, 'file'), '')
    expect(await readJson(path.join(dir, 'none'))).toBeUndefined()
    expect(await readStateFile(path.join(dir, 'file', 'x'))).toBeUndefined()
  })

  test.each(['', '{', '{"token": "hunter2-very-secret', 'hunter2-very-secret', '\0\0\0'])(
    'of a damaged file names it and nothing of what is in it: %j',
    async (content) => {
      const file = path.join(await temporaryFolder(), 'state.json')
      await writeFile(file, content)
      const failure = await failureOf(() => readJson(file))
      expect(failure).toMatch(/^StateCorrupt: /)
      expect(failure).toContain(file)
      expect(failure).not.toContain('hunter2')
    },
  )
})

test.each([
  ['ENOENT', true],
  ['ENOTDIR', true],
  ['EACCES', false],
  [undefined, false],
])('error %s means missing: %s', (code, expected) => {
  expect(isMissing(code === undefined ? undefined : Object.assign(new Error('x'), { code }))).toBe(expected)
})

test.each(['ENOSPC', 'EDQUOT'])('%s is a full disk, worth another try', (code) => {
  const error = diskError(Object.assign(new Error('x'), { code }), '/state/file')
  expect(error).toBeInstanceOf(ExpectedError)
  expect(error).toMatchObject({ reason: 'DiskFull', retry: 'backoff', path: '/state/file' })
})

test('any other error stays what it is', () => {
  const error = Object.assign(new Error('x'), { code: 'EIO' })
  expect(diskError(error, '/x')).toBe(error)
})

test('what a killed writer left is removed once it is old, and nothing else', async () => {
  const dir = await temporaryFolder()
  const now = Date.now()
  for (const name of ['status.json', 'status.json.0badcafe.tmp', 'young.0badcafe.tmp', 'mine.tmp'])
    await writeFile(path.join(dir, name), '')
  const old = new Date(now - 3_600_000)
  for (const name of ['status.json', 'status.json.0badcafe.tmp', 'mine.tmp'])
    await utimes(path.join(dir, name), old, old)
  await sweepTemporary(dir, now)
  expect((await readdir(dir)).toSorted()).toEqual(['mine.tmp', 'status.json', 'young.0badcafe.tmp'])
})
