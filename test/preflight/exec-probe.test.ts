/** A program really runs, and leaves nothing; mounts that refuse it are tried by the e2e tests. */
import { closeSync } from 'node:fs'
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDirectory } from '../../src/host/open-at.ts'
import { probeExec, sweepProbes } from '../../src/preflight/exec-probe.ts'
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
