import { copyFile, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  currentBootId,
  isSameProcess,
  parseProcessIdentity,
  startTicksOf,
} from '../../../src/engine/local/process-facts.ts'
import { firstLine, start, temporaryFolder } from './temporary.ts'

/** Clock ticks since boot, by another way than start times: proc_uptime(5) counts in hundredths of a second. */
async function ticksSinceBoot(): Promise<number> {
  return Math.floor(Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]) * 100)
}

function pidOf(child: { readonly pid?: number | undefined }): number {
  if (child.pid === undefined) throw new Error('it did not start')
  return child.pid
}

describe('startTicksOf', () => {
  test.each(['sleep', 'a b c', 'x) S 1 2', ') ) 1 (', '(sd-pam)', '))))'])(
    'a process named %j has just started',
    async (name) => {
      const program = path.join(await temporaryFolder(), name)
      await copyFile('/bin/sleep', program)
      const before = await ticksSinceBoot()
      const ticks = Number(startTicksOf(pidOf(start([program, '60']))))
      expect(ticks).toBeGreaterThanOrEqual(before - 10)
      expect(ticks).toBeLessThanOrEqual((await ticksSinceBoot()) + 10)
    },
  )

  test('a process that ended is gone, also while nobody has collected its exit', async () => {
    const parent = start(['/bin/sh', '-c', 'sleep 0.1 & echo $!; exec sleep 60'])
    const zombie = Number(await firstLine(parent))
    await expect.poll(() => startTicksOf(zombie)).toBeUndefined()
    expect(await readFile(`/proc/${zombie}/stat`, 'latin1')).toContain(') Z ')
  })

  test('a process that never was is gone', () => {
    expect(startTicksOf(2 ** 30)).toBeUndefined()
    expect(startTicksOf(-1)).toBeUndefined()
  })
})

describe('isSameProcess', () => {
  const me = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', bootId: currentBootId() }
  test.each([
    ['itself', {}, true],
    ['a later process with its number', { startTicks: '1' }, false],
    ['a process before the reboot', { bootId: '00000000-0000-0000-0000-000000000000' }, false],
    ['a process that is gone', { pid: 2 ** 30 }, false],
  ])('knows %s', (_title, changes, expected) => {
    expect(isSameProcess({ ...me, ...changes })).toBe(expected)
  })
})

test.each([
  ['12 345 boot\n', { pid: 12, startTicks: '345', bootId: 'boot' }],
  ['', undefined],
  ['\n', undefined],
  ['12', undefined],
  ['12 345', undefined],
  ['x 345 boot', undefined],
  ['-1 345 boot', undefined],
  ['1.5 345 boot', undefined],
])('the line %j is %j', (line, expected) => {
  expect(parseProcessIdentity(line)).toEqual(expected)
})
