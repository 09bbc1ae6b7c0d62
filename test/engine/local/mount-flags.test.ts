import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mountFlagsOf, parseMountFlags } from '../../../src/engine/local/mount-flags.ts'
import { startTicksOf } from '../../../src/engine/local/process-facts.ts'
import { eventually } from '../../support/sandbox.ts'

const line = (mountPoint: string, options: string, fs = 'ext4 /dev/vda rw') =>
  `36 35 98:0 / ${mountPoint} ${options} shared:1 master:2 - ${fs}`

const flags = (...lines: string[]) => Object.fromEntries(parseMountFlags(`${lines.join('\n')}\n`))

test.each<[string, string[], Record<string, string>]>([
  ['nothing', [], {}],
  ['exec, which the kernel never prints', [line('/data', 'rw,nosuid,nodev,relatime')], { '/data': 'exec' }],
  ['noexec', [line('/data', 'rw,nosuid,noexec')], { '/data': 'noexec' }],
  [
    'options of the file system, which are not those of the mount',
    [line('/data', 'rw', 'tmpfs tmpfs rw,noexec')],
    { '/data': 'exec' },
  ],
  ['words that only look alike', [line('/data', 'rw,noexecute,xnoexec')], { '/data': 'exec' }],
  ['the mount on top of another', [line('/data', 'rw'), line('/data', 'rw,noexec')], { '/data': 'noexec' }],
  ['a space', [line(String.raw`/my\040data`, 'rw')], { '/my data': 'exec' }],
  ['tab, newline, backslash and hash', [line(String.raw`/\011\012\134\043`, 'rw')], { '/\t\n\\#': 'exec' }],
  ['a backslash before digits', [line(String.raw`/a\134040b`, 'rw')], { [String.raw`/a\040b`]: 'exec' }],
  ['letters beyond ASCII', [line('/données', 'rw')], { '/données': 'exec' }],
  ['letters beyond ASCII and a space', [line(String.raw`/données\040à`, 'rw')], { '/données à': 'exec' }],
  ['lines that say nothing', ['', 'x', 'a b c', line('/data', 'rw')], { '/data': 'exec' }],
])('reads %s', (_title, lines, expected) => {
  expect(flags(...lines)).toEqual(expected)
})

test('the mounts of this very process are read from the kernel', async () => {
  expect((await mountFlagsOf(process.pid)).get('/proc')).toBeDefined()
})

test('a process that is gone has no mounts', async () => {
  expect(await mountFlagsOf(2 ** 30)).toEqual(new Map())
})

test('a process that has ended and is not yet collected has no mounts', async () => {
  // A shell that has become another program leaves its child uncollected: a zombie.
  const parent = spawn('/bin/sh', ['-c', 'exec 3<&0; cat <&3 >/dev/null & echo $!; exec sleep 60'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    await eventually(
      'the shell is no shell any more',
      () => readFileSync(`/proc/${parent.pid ?? 0}/comm`, 'utf8') === 'sleep\n',
    )
    parent.stdin.end()
    await eventually('the child is a zombie', () => startTicksOf(pid) === undefined)
    expect(await mountFlagsOf(pid)).toEqual(new Map())
  } finally {
    parent.kill('SIGKILL')
  }
})
