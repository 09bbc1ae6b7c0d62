import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readHookOutcome, runnerHook, runnerMounts, runnerScript } from '../../src/bundle/hook-runner.ts'
import { shellQuote } from '../../src/bundle/shell-quote.ts'
import type { HookWish } from '../../src/bundle/types.ts'
import { aHook } from './input.ts'

const BUSYBOX = '/usr/bin/busybox'

const SHELLS = [
  ['dash', '/bin/sh', []],
  ['busybox', BUSYBOX, ['sh']],
  ['bash', '/bin/bash', ['--posix']],
] as const

describe('shellQuote', () => {
  test.each(SHELLS.filter(([, shell]) => existsSync(shell)))(
    'gives %s every word back byte for byte',
    (_, shell, options) => {
      const word = fc.string({ unit: 'binary', maxLength: 30 }).filter((text) => !text.includes('\0'))
      const nasty = fc.string({
        unit: fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', '*', '!', '~', 'é', '\u0001', '-'),
        maxLength: 30,
      })
      fc.assert(
        fc.property(fc.array(fc.oneof(word, nasty), { minLength: 1, maxLength: 40 }), (words) => {
          const script = `printf '%s\\0' ${words.map(shellQuote).join(' ')}`
          const result = spawnSync(shell, [...options, '-c', script])
          expect(result.status).toBe(0)
          expect(result.stdout).toEqual(Buffer.from(words.map((text) => `${text}\0`).join('')))
        }),
        { numRuns: 40 },
      )
    },
  )

  test('refuses NUL', () => {
    expect(() => shellQuote('a\0b')).toThrow(expect.objectContaining({ reason: 'InvalidSpec' }))
  })
})

function sh(script: string, changes: Partial<HookWish> = {}): Partial<HookWish> {
  return { path: '/bin/sh', args: ['-c', script], ...changes }
}

// Skipped only where nobody promised a busybox; under CI its absence is a failure.
describe.skipIf(!existsSync(BUSYBOX) && process.env['CI'] === undefined)('the runner', () => {
  let base = ''
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), 'runner-'))
  })
  afterAll(() => rmSync(base, { recursive: true }))

  /** Runs the script as a runtime would: state on stdin, and an environment that must not reach the hooks. */
  function run(hooks: readonly Partial<HookWish>[], state = '{"id":"x"}') {
    const dir = mkdtempSync(join(base, 'c-'))
    mkdirSync(join(dir, 'run'))
    symlinkSync(BUSYBOX, join(dir, 'busybox'))
    const wishes = hooks.map((hook) => aHook(hook))
    writeFileSync(join(dir, 'hooks.sh'), runnerScript({ hooks: wishes, runnerDir: dir }))
    const hook = runnerHook(dir)
    const result = spawnSync(hook.path, ['sh', ...hook.args.slice(2)], {
      argv0: 'busybox',
      input: state,
      env: { SECRET: 'of the controller', PATH: '/nowhere' },
      cwd: base,
    })
    const names = readdirSync(join(dir, 'run')).filter((name) => name !== 'done')
    const files = Object.fromEntries(
      names.map((name) => [name, readFileSync(join(dir, 'run', name), 'utf8')]),
    )
    return {
      status: result.status,
      stdout: result.stdout.toString(),
      stderr: result.stderr.toString(),
      files,
      dir,
      outcome: readHookOutcome(files),
    }
  }

  test('runs every hook in order and says that all is well', () => {
    const { status, outcome, files, stderr } = run([sh('echo one; echo err >&2'), sh('echo two')])
    expect({ status, stderr, outcome }).toEqual({ status: 0, stderr: '', outcome: { ok: true } })
    expect(files).toMatchObject({
      '0.stdout': 'one\n',
      '0.stderr': 'err\n',
      '0.code': '0\n',
      '1.stdout': 'two\n',
      '1.code': '0\n',
    })
    expect(Object.keys(files).filter((name) => /\.(?:out|err)$/.test(name))).toEqual([])
  })

  test('is well with no hooks', () => {
    expect(run([]).outcome).toEqual({ ok: true })
  })

  test('forgets what an earlier run left', () => {
    const { dir } = run([])
    writeFileSync(join(dir, 'run', 'failed'), '0\n')
    const again = spawnSync(join(dir, 'busybox'), ['sh', join(dir, 'hooks.sh')], {
      argv0: 'busybox',
      input: '',
    })
    expect(again.status).toBe(0)
    expect(readdirSync(join(dir, 'run')).sort()).toEqual(['done', 'ok', 'state'])
  })

  test('leaves hooks of other stages alone', () => {
    const { files } = run([{ stage: 'poststop', path: '/nope' }, sh('echo mine')])
    expect(files['0.stdout']).toBe('mine\n')
  })

  test('gives each hook the whole state on stdin', () => {
    const state = JSON.stringify({ id: 'x', text: 'é\n'.repeat(20_000) })
    const { files } = run([sh('wc -c'), sh('wc -c')], state)
    expect([files['0.stdout'], files['1.stdout']].map((text) => Number(text))).toEqual([
      Buffer.byteLength(state),
      Buffer.byteLength(state),
    ])
  })

  test('gives a hook its own environment and nothing else', () => {
    const { files } = run([
      {
        path: '/usr/bin/env',
        env: [
          { name: 'A', value: "it's $HOME\n`x`" },
          { name: 'PATH', value: '/bin' },
        ],
      },
    ])
    expect(files['0.stdout']).toBe("PATH=/bin\nA=it's $HOME\n`x`\n")
    expect(run([{ path: '/usr/bin/env' }]).files['0.stdout']).toBe(
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
    )
  })

  test('gives a hook its arguments byte for byte', () => {
    const args = ['', ' ', "'", '"$(id)"', '-n', '--', 'A=B', '\n', '*', 'é', '\\']
    expect(run([{ path: '/usr/bin/printf', args: [String.raw`%s\0`, ...args] }]).files['0.stdout']).toBe(
      args.map((arg) => `${arg}\0`).join(''),
    )
  })

  test('does not take a path with = for a variable', () => {
    const script = join(base, 'a=b')
    writeFileSync(script, '#!/bin/sh\necho ran\n')
    chmodSync(script, 0o755)
    expect(run([{ path: script }]).files['0.stdout']).toBe('ran\n')
  })

  test('stops at the first failure and tells which, its code and its last words', () => {
    const { status, outcome, files } = run([
      sh('true'),
      sh('echo out; echo why >&2; exit 3'),
      sh('echo never'),
    ])
    expect(status).toBe(1)
    expect(outcome).toEqual({ failed: 1, code: 3, timedOut: false, stdout: 'out\n', stderr: 'why\n' })
    expect(files).not.toHaveProperty(['2.code'])
    expect(files).not.toHaveProperty(['ok'])
  })

  test.each<[string, Partial<HookWish>, number]>([
    ['a hook that is not there', { path: '/nope' }, 127],
    ['a hook that may not be executed', { path: '/etc/passwd' }, 126],
    ['a hook that is killed', sh('kill -9 $$'), 137],
  ])('tells %s by its code', (_, hook, code) => {
    expect(run([hook]).outcome).toMatchObject({ failed: 0, code, timedOut: false })
  })

  test('kills a hook that takes too long, and what it started', () => {
    const { status, outcome, dir } = run([sh('echo begun; sleep 30 & sleep 30', { timeoutSeconds: 1 })])
    expect(status).toBe(1)
    expect(outcome).toEqual({ failed: 0, code: 137, timedOut: true, stdout: 'begun\n', stderr: '' })
    const group = readFileSync(join(dir, 'run', 'pid'), 'utf8').trim()
    const states = spawnSync('/bin/ps', ['-o', 'stat=', '-g', group]).stdout.toString().split('\n')
    // Dead ones that nobody has collected yet may still be listed, as Z.
    expect(states.filter((state) => state !== '' && !state.startsWith('Z'))).toEqual([])
  })

  test('does not wait for what a hook leaves running', () => {
    const { outcome, files } = run([sh('setsid sleep 60 & echo $!', { timeoutSeconds: 20 })])
    expect(outcome).toEqual({ ok: true })
    // It is still there, and ours to end: kill throws if not.
    expect(process.kill(Number(files['0.stdout']), 'SIGKILL')).toBe(true)
  })

  test('keeps the end of long output only', () => {
    const { files } = run([
      sh('i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; echo end >&2'),
    ])
    expect(files['0.stdout']?.length).toBe(4096)
    expect(files['0.stdout']).toMatch(/line 2999\n$/)
    expect(files['0.stderr']).toBe('end\n')
  })

  test('prints nothing into the container’s own output', () => {
    const { stdout, stderr } = run([sh('echo out; echo err >&2'), sh('exit 1')])
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' })
  })

  test('leaves the time to the script, because a timeout makes crun 1.8.1 block signals in the app', () => {
    expect(runnerHook()).not.toHaveProperty('timeout')
  })

  test('is mounted so that only its results can be written', () => {
    expect(
      runnerMounts({ busybox: '/b', script: '/s', runDir: '/r' }).map(({ destination, readOnly, exec }) => ({
        destination,
        readOnly,
        exec,
      })),
    ).toEqual([
      { destination: '/.fairlead/busybox', readOnly: true, exec: true },
      { destination: '/.fairlead/hooks.sh', readOnly: true, exec: false },
      { destination: '/.fairlead/run', readOnly: false, exec: false },
    ])
  })
})

describe('readHookOutcome', () => {
  test.each<[string, Record<string, string>, unknown]>([
    ['nothing', {}, { unfinished: true, running: undefined }],
    ['a hook that was running', { running: '1\n', '0.code': '0\n' }, { unfinished: true, running: 1 }],
    ['the end', { ok: '\n', running: '1\n' }, { ok: true }],
    [
      'a failure, also beside a forged end',
      { ok: '', failed: '0\n', '0.code': '3\n', '0.stderr': 'x' },
      { failed: 0, code: 3, timedOut: false, stdout: '', stderr: 'x' },
    ],
    [
      'a time limit',
      { failed: '0\n', '0.timeout': '\n' },
      { failed: 0, code: undefined, timedOut: true, stdout: '', stderr: '' },
    ],
    [
      'junk',
      { failed: 'x', running: '-1', '0.code': '9'.repeat(40) },
      { unfinished: true, running: undefined },
    ],
  ])('reads %s', (_, files, expected) => {
    expect(readHookOutcome(files)).toEqual(expected)
  })
})
