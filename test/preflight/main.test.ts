/** The report is written in any case, and the exit code says the same. */
import { readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { preflightMain } from '../../src/preflight/main.ts'
import type { PreflightReport } from '../../src/reconcile/kubernetes/preflight-task.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'
import { aPreflightVolume, aTask } from '../support/claims.ts'

async function runMain(task: string | undefined, file?: string) {
  const reportFile = file ?? path.join(await temporaryFolder(), 'report')
  const lines: string[] = []
  const code = await preflightMain({
    env: { FAIRLEAD_PREFLIGHT: task },
    reportFile,
    signal: new AbortController().signal,
    print: (line) => lines.push(line),
  })
  const text = await readFile(reportFile, 'utf8')
  expect(lines).toEqual([`${text}\n`])
  return { code, report: JSON.parse(text) as PreflightReport }
}

describe('a task that is broken', () => {
  test.each([
    ['is missing', undefined],
    ['is not JSON', 'nonsense'],
    ['is another version’s', JSON.stringify({ ...aTask('/', []), version: 2 })],
  ])('because it %s is an error of ours', async (_title, task) => {
    expect(await runMain(task)).toMatchObject({
      code: 1,
      report: { version: 1, volumes: [], error: { reason: 'InternalError' } },
    })
  })
})

test('a task without volumes is done', async () => {
  expect(await runMain(JSON.stringify(aTask('/', [])))).toEqual({
    code: 0,
    report: { version: 1, volumes: [] },
  })
})

test('a claim whose place is a file is told', async () => {
  const file = path.join(await temporaryFolder(), 'file')
  await writeFile(file, 'kept')
  const task = aTask('/', [aPreflightVolume(file, '/data', { action: 'Check' })])
  expect(await runMain(JSON.stringify(task))).toMatchObject({
    code: 1,
    report: {
      volumes: ['-?'],
      error: {
        reason: 'SeedFailed',
        message: expect.stringContaining('its place in its claim is a link or a file') as string,
        path: '/data',
      },
    },
  })
  expect(await readFile(file, 'utf8')).toBe('kept')
})

test('an older report is replaced whole', async () => {
  const file = path.join(await temporaryFolder(), 'report')
  await writeFile(file, 'x'.repeat(2000))
  expect((await runMain(JSON.stringify(aTask('/', [])), file)).report.volumes).toEqual([])
})

test('a link in the report’s place is not followed', async () => {
  const dir = await temporaryFolder()
  await writeFile(path.join(dir, 'victim'), 'kept')
  await symlink('victim', path.join(dir, 'report'))
  await expect(runMain(undefined, path.join(dir, 'report'))).rejects.toThrow(/ELOOP/)
  expect(await readFile(path.join(dir, 'victim'), 'utf8')).toBe('kept')
})
