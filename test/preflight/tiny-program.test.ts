/** Programs of a few instructions: what the kernel reads of them, and what they do on this processor. */
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parseElf } from '../../src/bundle/elf.ts'
import { writeHolder } from '../../src/preflight/holder.ts'
import { probeProgram, waitProgram } from '../../src/preflight/tiny-program.ts'
import { start, temporaryFolder } from '../engine/local/temporary.ts'

test.each([
  { doing: 'ends', program: probeProgram, arch: 'x64', machine: 62 },
  { doing: 'ends', program: probeProgram, arch: 'arm64', machine: 183 },
  { doing: 'waits', program: waitProgram, arch: 'x64', machine: 62 },
  { doing: 'waits', program: waitProgram, arch: 'arm64', machine: 183 },
])('the program for $arch that $doing is one that the kernel starts, alone', ({ program, arch, machine }) => {
  const bytes = program(arch) ?? Buffer.alloc(0)
  const file = {
    type: 'file',
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: bytes.length,
    linkTarget: '',
    read: (max: number, from = 0) => bytes.subarray(from, from + max),
  } as const
  expect(parseElf(file)).toMatchObject({
    elf: { bits: 64, endian: 'little', machine, interpreter: undefined, needed: [] },
  })
  // The entry is the code, right behind the header and its one segment, loaded from the file's beginning.
  expect(bytes.readBigUInt64LE(24) - bytes.readBigUInt64LE(64 + 16)).toBe(120n)
  expect(Number(bytes.readBigUInt64LE(64 + 32))).toBe(bytes.length)
})

test('processors that nobody wrote a program for have none', () => {
  expect([probeProgram('s390x'), probeProgram('constructor')]).toEqual([undefined, undefined])
  expect([waitProgram('s390x'), waitProgram('constructor')]).toEqual([undefined, undefined])
})

test('the holder has nothing in its memory but itself: no loader, no library, nothing of the image', async () => {
  const dir = await temporaryFolder()
  writeHolder(dir)
  const holder = start([path.join(dir, 'holder')])
  const files = async () => {
    const lines = (await readFile(`/proc/${holder.pid}/maps`, 'utf8')).trim().split('\n')
    return new Set(lines.flatMap((line) => line.split(/\s+/)[5] ?? []).filter((name) => name.startsWith('/')))
  }
  await expect.poll(files, { timeout: 5000 }).toEqual(new Set([path.join(dir, 'holder')]))
})

test('the holder sleeps, also after a signal that it has slept through, and ends at SIGTERM', async () => {
  const dir = path.join(await temporaryFolder(), 'made')
  writeHolder(dir)
  // Once more, as an init container that is started again does.
  writeHolder(dir)
  expect((await stat(path.join(dir, 'holder'))).mode & 0o777).toBe(0o755)
  const holder = start([path.join(dir, 'holder')])
  const ended = once(holder, 'exit')
  const state = async () => /^State:\t(\w)/m.exec(await readFile(`/proc/${holder.pid}/status`, 'utf8'))?.[1]
  await expect.poll(state, { timeout: 5000 }).toBe('S')
  holder.kill('SIGSTOP')
  await expect.poll(state, { timeout: 5000 }).toBe('T')
  holder.kill('SIGCONT')
  await expect.poll(state, { timeout: 5000 }).toBe('S')
  holder.kill('SIGTERM')
  expect(await ended).toEqual([null, 'SIGTERM'])
})
