/** The rooms in which peers unpack: nothing gets out of them, nothing is left of them, and trees are read to the byte. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { plainFolder } from '../conformance/layers/tools/plain-folder.ts'
import { Room } from '../conformance/layers/tools/room.ts'
import { walkLines } from '../conformance/layers/tools/walk.ts'

const USUAL = 1_700_000_000
/** More than is held in memory. */
const BIG = Buffer.alloc(70_000, 'z')

describe('a room', () => {
  let room: Room
  beforeEach(async () => {
    room = await Room.open()
  })
  afterEach(async () => {
    await room.close()
  })

  test.each(['/etc', '/tmp', '/root', '/dev/shm', '/usr/bin'])('%s cannot be written', async (folder) => {
    const result = await room.run(['touch', `${folder}/fairlead-was-here`])
    expect(result.stderr).toContain('Read-only file system')
    expect(existsSync(`${folder}/fairlead-was-here`)).toBe(false)
  })

  test('its folder can, and is seen from outside', async () => {
    expect(await room.run(['sh', '-c', 'echo hello > /mnt/f'])).toMatchObject({ code: 0, stderr: '' })
    expect(await readFile(path.join(room.folder, 'f'), 'utf8')).toBe('hello\n')
  })

  test('mounts are seen through it, and nowhere else', async () => {
    expect((await room.run(['mkdir', '/mnt/m'])).code).toBe(0)
    expect((await room.run(['mount', '-t', 'tmpfs', 'none', '/mnt/m'])).code).toBe(0)
    expect((await room.run(['touch', '/mnt/m/f'])).code).toBe(0)
    expect(existsSync(room.seen('/mnt/m/f'))).toBe(true)
    expect(existsSync(path.join(room.folder, 'm/f'))).toBe(false)
  })

  test('a program that does not end is killed with its children', async () => {
    const result = await room.run(['sh', '-c', 'sleep 1000 & wait'], { timeoutMs: 200 })
    expect(result.code).toBeNull()
  })

  test('a tool that changes what lies beside its folder is found out', async () => {
    const { target, escape } = await plainFolder(room, 'case')
    expect((await room.run(['mkdir', target])).code).toBe(0)
    expect(await escape()).toBeUndefined()
    expect((await room.run(['touch', `${target}/../new`])).code).toBe(0)
    expect(await escape()).toBeDefined()
    expect((await room.run(['rm', '-r', path.dirname(target)])).code).toBe(0)
    expect(await escape()).toBeDefined()
  })
})

test('a closed room leaves no process, no mount and no file', async () => {
  const room = await Room.open()
  const daemon = room.start(['sleep', '1000'])
  expect((await room.run(['mkdir', '/mnt/m'])).code).toBe(0)
  expect((await room.run(['mount', '-t', 'tmpfs', 'none', '/mnt/m'])).code).toBe(0)
  const ended = new Promise((resolve) => daemon.once('close', resolve))
  await room.close()
  await ended
  expect(existsSync(room.folder)).toBe(false)
})

test('a tree on disk becomes lines, whatever is in it', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'fairlead-walk-'))
  try {
    await fill(root)
    expect(await walkLines(root)).toEqual(
      [
        './ mode=0700',
        'd/ mode=1777 owner=7:8',
        'd/a\\nb "" mode=4755 owner=1:2 user.empty="" user.k="a\\nb"',
        'd/null char 1:3 mode=0600',
        'd/pipe fifo mode=0600',
        `d/big size=70000 sha256=${sha256(BIG).slice(0, 16)}`,
        'f "" mode=4755 owner=1:2 user.empty="" user.k="a\\nb" linked=d/a\\nb',
        'l -> \\xff\\x20x time=-1.5',
        '\\xff\\xfe "x\\x00" time=1.000000001',
      ].toSorted((a, b) => (a < b ? -1 : 1)),
    )
  } finally {
    await rm(root, { recursive: true })
  }
})

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function fill(root: string): Promise<void> {
  const at = (name: string): string => path.join(root, name)
  const sh = (line: string): string => execFileSync('sh', ['-euc', line], { cwd: root, encoding: 'utf8' })
  await mkdir(at('d'))
  await writeFile(at('f'), '')
  await link(at('f'), at('d/a\nb'))
  await writeFile(at('d/big'), BIG)
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]), 'x\0')
  await symlink(Buffer.from([0xff, 0x20, 0x78]), at('l'))
  sh('mknod -m 600 d/null c 1 3; mkfifo -m 600 d/pipe')
  sh('chown 1:2 f; chmod 4755 f; setfattr -n user.empty f; setfattr -n user.k -v "$(printf "a\\nb")" f')
  sh(`touch -h -d @${USUAL} f d/null d/pipe d/big; touch -h -d @-1.5 l`)
  sh(`touch -d @1.000000001 "$(printf '\\377\\376')"`)
  sh(`chown 7:8 d; chmod 1777 d; touch -d @${USUAL} d; chmod 700 .`)
}
