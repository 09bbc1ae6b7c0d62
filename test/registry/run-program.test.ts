import { chmod, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { runFailure, runProgram } from '../../src/registry/run-program.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'

let folder: string
const never = new AbortController().signal

beforeEach(async () => {
  folder = await temporaryFolder()
})

async function program(script: string): Promise<string> {
  const file = path.join(folder, 'program')
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  return file
}

function run(file: string, changes: { timeoutMs?: number; args?: string[] } = {}, signal = never) {
  const limits = { maxOutputBytes: 1000, timeoutMs: changes.timeoutMs ?? 10_000 }
  const env = { PATH: '/usr/bin:/bin', ONLY: 'this' }
  return runProgram({ program: file, args: changes.args ?? [], env, input: 'question\n', ...limits }, signal)
}

describe('runProgram', () => {
  test('gives input, words as they are and nothing but the environment that was named', async () => {
    const file = await program('cat; printf "%s|" "$@"; echo "$ONLY$HOME"')
    expect(await run(file, { args: ['$HOME; true', '`id`'] })).toEqual({
      code: 0,
      output: 'question\n$HOME; true|`id`|this\n',
    })
  })

  test('tells the exit code', async () => {
    expect(await run(await program('echo no; exit 3'))).toEqual({ code: 3, output: 'no\n' })
  })

  test('ends a program that says too much', async () => {
    await expect(run(await program('yes'))).rejects.toMatchObject({ reason: 'LimitExceeded' })
  })

  test('tells of a program that is not there', async () => {
    await expect(run(path.join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('ends a program that is too slow, with all that it started', async () => {
    const pidFile = path.join(folder, 'pid')
    const file = await program(`sleep 600 & echo $! >${pidFile}\nwait`)
    await expect(run(file, { timeoutMs: 1000 })).rejects.toMatchObject({ name: 'TimeoutError' })
    const pid = (await readFile(pidFile, 'utf8')).trim()
    await expect.poll(() => isGone(pid), { timeout: 10_000 }).toBe(true)
  })

  test('ends with its caller', async () => {
    const caller = new AbortController()
    const answer = run(await program('sleep 600'), {}, caller.signal)
    caller.abort(new Error('no more'))
    await expect(answer).rejects.toThrow('no more')
    await expect(run(await program('true'), {}, caller.signal)).rejects.toThrow('no more')
  })
})

describe('runFailure', () => {
  test.each([
    ['ENOENT', Object.assign(new Error('x'), { code: 'ENOENT' })],
    ['TimeoutError', new DOMException('x', 'TimeoutError')],
    ['LimitExceeded', new ExpectedError('LimitExceeded', 'x')],
    ['TypeError', new TypeError('x')],
    ['unknown', 'x'],
  ])('is %s', (word, error) => {
    expect(runFailure(error)).toBe(word)
  })
})

/** Nobody may have waited for it yet: then it is a zombie. */
async function isGone(pid: string): Promise<boolean> {
  return /\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z '))
}
