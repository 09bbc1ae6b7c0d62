/** A program really runs, and leaves nothing; mounts that refuse it are tried by the e2e tests. */
import { closeSync } from 'node:fs'
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDirectory } from '../../src/host/open-at.ts'
import { probeExec, sweepProbes } from '../../src/preflight/exec-probe.ts'
import { probeProgram } from '../../src/preflight/probe-program.ts'
import { parseElf } from '../../src/bundle/elf.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'

async function inFolder<Result>(
  work: (fd: number, dir: string) => Promise<Result> | Result,
): Promise<Result> {
  const dir = await temporaryFolder()
  const fd = openDirectory(dir)
  try {
    return await work(fd, dir)
  } finally {
    closeSync(fd)
  }
}

describe('a program on a folder', () => {
  test.each([true, false])('runs and leaves nothing (without a name: %s)', async (nameless) => {
    await inFolder(async (fd, dir) => {
      expect(probeExec(fd, { nameless })).toBe('x')
      expect(await readdir(dir)).toEqual([])
    })
  })

  test.runIf(process.geteuid?.() !== 0)('can’t be tried where nothing may be written', async () => {
    await inFolder(async (fd, dir) => {
      await chmod(dir, 0o555)
      expect(probeExec(fd)).toBe('?')
    })
  })
})

test('folders of probes that were killed go, and only those', async () => {
  await inFolder(async (fd, dir) => {
    await mkdir(path.join(dir, '.fairlead-probe-0123456789ab'))
    await writeFile(path.join(dir, '.fairlead-probe-0123456789ab/probe'), '')
    await mkdir(path.join(dir, '.fairlead-probe-mine'))
    await symlink('/', path.join(dir, '.fairlead-probe-ba9876543210'))
    await writeFile(path.join(dir, '.fairlead-probe-aaaaaaaaaaaa'), 'a file')
    sweepProbes(fd)
    expect((await readdir(dir)).toSorted()).toEqual([
      '.fairlead-probe-aaaaaaaaaaaa',
      '.fairlead-probe-ba9876543210',
      '.fairlead-probe-mine',
    ])
  })
})

test.each([
  ['x64', 62],
  ['arm64', 183],
])('the program for %s is one that the kernel starts', (arch, machine) => {
  const bytes = probeProgram(arch) ?? Buffer.alloc(0)
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
})
