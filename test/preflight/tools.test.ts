/** Tools see the folders that they are given, say what they say, and end when they are told to. */
import { closeSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { openDirectory } from '../../src/host/open-at.ts'
import { toolRunner } from '../../src/preflight/tools.ts'
import { runToEnd, temporaryFolder } from '../engine/local/temporary.ts'

/** `started` is called when the tool runs. */
async function copyInFolder(
  from: string,
  signal: AbortSignal,
  { onLine, started }: { onLine?: (line: string) => void; started?: () => void } = {},
) {
  const dir = await temporaryFolder()
  await writeFile(path.join(dir, 'file'), '')
  await runToEnd(['mkfifo', path.join(dir, 'fifo')])
  const fd = openDirectory(dir)
  const args = [`/proc/self/fd/3/${from}`, '/proc/self/fd/3/copy']
  try {
    const running = toolRunner(signal)({
      tool: 'cp',
      args,
      folders: [fd],
      ...(onLine === undefined ? {} : { onLine }),
    })
    started?.()
    const done = await running
    return { done, names: await readdir(dir) }
  } finally {
    closeSync(fd)
  }
}

test('a folder is given by its handle', async () => {
  const { done, names } = await copyInFolder('file', new AbortController().signal)
  expect([done, names.includes('copy')]).toEqual([true, true])
})

test('a failure comes with what was said', async () => {
  const lines: string[] = []
  const { done } = await copyInFolder('gone', new AbortController().signal, {
    onLine: (line) => lines.push(line),
  })
  expect([done, lines]).toEqual([
    false,
    ["cp: cannot stat '/proc/self/fd/3/gone': No such file or directory"],
  ])
})

test('a tool that would never end is ended by the signal', async () => {
  const stop = new AbortController()
  // Nobody ever writes into the fifo, so this copy waits for ever.
  const copy = copyInFolder('fifo', stop.signal, { started: () => stop.abort() })
  await expect(copy).rejects.toMatchObject({ reason: 'SeedFailed', retry: 'backoff' })
})

test('nothing is begun after the signal', async () => {
  await expect(copyInFolder('file', AbortSignal.abort())).rejects.toMatchObject({ reason: 'SeedFailed' })
})
