import { appendFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { tailOffset } from '../../src/cli/log-file.ts'
import { appPaths, instancePaths, statePaths } from '../../src/engine/local/paths.ts'
import { runningStatus, storeApp, storeInstance } from './prepared-state.ts'
import { Desk } from './run.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

describe('logs', () => {
  test.each([
    ['everything', [], 'one\ntwo\nthree\n'],
    ['the last lines', ['--tail', '2'], 'two\nthree\n'],
    ['no line', ['--tail', '0'], ''],
    ['more lines than there are', ['--tail', '99'], 'one\ntwo\nthree\n'],
  ])('prints %s', async (_title, args, expected) => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web', { log: 'one\ntwo\nthree\n' })
    expect(await desk.run(['logs', 'web', ...args])).toMatchObject({ code: 0, stdout: expected, stderr: '' })
  })

  test('passes bytes on that are no text', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    const id = await storeInstance(desk.state, 'web')
    const bytes = Buffer.from([0xff, 0x00, 0x80, 0x0a, 0xc3])
    writeFileSync(instancePaths(statePaths(desk.state), id).log, bytes)
    expect((await desk.run(['logs', 'web'])).bytes).toEqual(bytes)
  })

  test('means the container that runs, not the one that ended', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web', { revision: 'r1', log: 'old\n' })
    await storeInstance(desk.state, 'web', { revision: 'r0', log: 'new\n', alive: true })
    expect((await desk.run(['logs', 'web'])).stdout).toBe('new\n')
  })

  test('never means the container of an app with a longer name', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web-2', { log: 'other\n', alive: true })
    expect(await desk.run(['logs', 'web'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('never started') as string,
    })
  })

  test('of an app that nobody stored is NotFound', async () => {
    expect(await desk.run(['logs', 'web'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^NotFound/) as string,
    })
  })

  test('follow what is written, through a new revision, until the app is gone', async () => {
    const key = await storeApp(desk.state, 'web', runningStatus())
    const id = await storeInstance(desk.state, 'web', { log: 'first\nsecond\n', alive: true })
    const paths = statePaths(desk.state)
    const seen: string[] = []
    const onStdout = (text: string) => {
      seen.push(text)
      if (text === 'second\n') appendFileSync(instancePaths(paths, id).log, 'third\n')
      if (text === 'third\n') void replaceInstance()
      if (text.startsWith('fourth')) void rm(appPaths(paths, key).dir, { recursive: true })
    }
    async function replaceInstance(): Promise<void> {
      await rm(instancePaths(paths, id).dir, { recursive: true })
      await storeInstance(desk.state, 'web', { revision: 'r2', log: `${'fourth '.repeat(9)}\n`, alive: true })
    }
    expect(await desk.run(['logs', 'web', '-f', '--tail', '1'], { onStdout })).toMatchObject({
      code: 0,
      stderr: '',
    })
    expect(seen).toEqual(['second\n', 'third\n', `${'fourth '.repeat(9)}\n`])
  })

  test('following ends when it is interrupted', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web', { log: 'first\n', alive: true })
    const abort = new AbortController()
    const result = await desk.run(['logs', 'web', '-f'], {
      signal: abort.signal,
      onStdout: () => abort.abort(),
    })
    expect(result).toMatchObject({ code: 0, stdout: 'first\n', stderr: '' })
  })
})

test('the last lines are found in files of any shape', async () => {
  const file = join(desk.dir, 'log')
  const line = fc.oneof(fc.constant(''), fc.string({ maxLength: 10 }), fc.constant('x'.repeat(70_000)))
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 8 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 9 }),
      async (parts, ends, count) => {
        const lines = parts.map((part) => part.replaceAll('\n', ' '))
        const text = `${lines.join('\n')}${ends && lines.length > 0 ? '\n' : ''}`
        writeFileSync(file, text)
        const shown = Buffer.from(text)
          .subarray(await tailOffset(file, count))
          .toString('utf8')
        const whole = text.endsWith('\n')
          ? text
              .slice(0, -1)
              .split('\n')
              .map((part) => `${part}\n`)
          : text.split(/(?<=\n)/)
        expect(shown).toBe(whole.slice(-count).join(''))
      },
    ),
    { numRuns: 60 },
  )
})

describe('exec', () => {
  test('without a running container says where to look', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeInstance(desk.state, 'web')
    expect(await desk.run(['exec', 'web', '--', 'id'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^NotFound: web has no running container; 'fairlead status web'/,
      ) as string,
    })
  })

  test('gives no terminal where there is none', async () => {
    expect(await desk.run(['exec', '-it', 'web', '--', 'sh'], { inputIsTerminal: true })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--tty') as string,
    })
  })
})
