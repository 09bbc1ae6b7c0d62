/** What an image may cost the controller in memory, whatever its layers hold: each is read in a process with a small heap. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import type { KINDS, Report } from './read-hostile.ts'

const PROGRAM = path.join(import.meta.dirname, 'read-hostile.ts')
const WINDOWS = path.join(import.meta.dirname, 'read-windows.ts')
const run = promisify(execFile)

/** Megabytes of heap: what a layer takes that is read to its end grows with its entries, and with nothing else of it. */
test.each<[keyof typeof KINDS, number, RegExp]>([
  ['a few entries with many attributes each', 64, /^LimitExceeded: layer 0 \(f0\): 300 .*; maxXattrs is 64$/],
  ['many entries with a few attributes each', 64, /^LimitExceeded: .*maxMetadataBytes/],
  ['long link targets', 64, /^LimitExceeded: .*maxMetadataBytes/],
  ['names of many components', 96, /^read$/],
  ['whiteouts of many components', 96, /^read$/],
  ['folders', 128, /^read$/],
  ['folders that nodes show otherwise', 160, /^read$/],
  ['whiteouts', 96, /^read$/],
])(
  'a layer of %s is read within bounds, and leaves nothing',
  async (kind, heapMib, expected) => {
    const { stdout } = await run(process.execPath, [
      '--expose-gc',
      '--optimize-for-size',
      `--max-old-space-size=${heapMib}`,
      PROGRAM,
      kind,
    ])
    const { outcome, readShare, leftBytes } = JSON.parse(stdout) as Report
    expect(outcome).toMatch(expected)
    expect(outcome === 'read' ? 0 : readShare).toBeLessThan(0.5)
    expect(leftBytes).toBeLessThan(32 << 20)
  },
  120_000,
)

/** Three layers are read at a time, each of which would fill 62 MiB of its window; of sixteen that were kept it would be a gigabyte. */
test.each<[string, boolean]>([
  ['the checks', false],
  ['unpacking', true],
])(
  'of many layers with the largest zstd window, %s take the memory of one at a time',
  async (_title, unpacks) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-windows-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const args = unpacks ? [path.join(folder, 'out')] : []
    const { stdout } = await run(process.execPath, [WINDOWS, ...args])
    const { before, peak } = JSON.parse(stdout) as { before: number; peak: number }
    expect(peak - before).toBeLessThan(128 << 20)
  },
  240_000,
)
