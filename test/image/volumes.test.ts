import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseImageConfig } from '../../src/image/config.ts'
import { declaredVolumes, normaliseVolumePath } from '../../src/image/volumes.ts'

function config(...keys: readonly string[]) {
  const Volumes = Object.fromEntries(keys.map((key) => [key, {}]))
  const value = {
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: [] },
    config: { Volumes },
  }
  return parseImageConfig(Buffer.from(JSON.stringify(value)))
}

describe('volume paths', () => {
  test.each([
    ['/data', '/data'],
    ['/data/', '/data'],
    ['data', '/data'],
    ['//data///x', '/data/x'],
    ['/./data/.', '/data'],
    ['/a/../b', '/b'],
    ['/../../b', '/b'],
    ['./x', '/x'],
    ['[/data,', '/[/data,'],
    ['/devices', '/devices'],
    ['/process/x', '/process/x'],
    ['/var/proc', '/var/proc'],
    ['/a b', '/a b'],
    ['/ä', '/ä'],
    ['/...', '/...'],
  ])('%j is %s', (key, path) => {
    expect(normaliseVolumePath(key)).toEqual({ path })
  })

  test.each([
    ['', 'root'],
    ['/', 'root'],
    ['.', 'root'],
    ['/a/..', 'root'],
    ['/proc', '/proc'],
    ['/proc/self/fd/7', '/proc'],
    ['/x/../proc/1', '/proc'],
    ['/sys/', '/sys'],
    ['dev/shm', '/dev'],
    ['/a\0b', 'NUL'],
    [`/${'a'.repeat(256)}`, 'longer than 255'],
    [`/${'ä'.repeat(128)}`, 'longer than 255'],
    ['/abcdefg'.repeat(129), 'longer than 1024'],
    ['/a\nb', 'control characters'],
    ['/a\u001b[31m', 'control characters'],
    ['/a\u202eb', 'control characters'],
  ])('%j is refused: %s', (key, problem) => {
    expect(normaliseVolumePath(key)).toEqual({ problem: expect.stringContaining(problem) as string })
  })

  test('normalising twice changes nothing', () => {
    const unit = fc.constantFrom('a', 'proc', '/', '.', '..', '[', ' ')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (key) => {
        const once = normaliseVolumePath(key)
        fc.pre('path' in once)
        expect(normaliseVolumePath('path' in once ? once.path : '')).toEqual(once)
      }),
    )
  })
})

describe('declared volumes', () => {
  test('are normalised, without twins, sorted', () => {
    expect(declaredVolumes(config('/var/ts3server/', '/var/ts3server', '/b/../a', '/a'))).toEqual({
      volumes: ['/a', '/var/ts3server'],
      warnings: [],
    })
  })

  test.each([
    ['[/data,', '/[/data,', 'not valid JSON'],
    ['/logs]', '/logs]', 'not valid JSON'],
    ['"/data"', '/"/data"', 'not valid JSON'],
    ['data', '/data', 'does not begin with /'],
    ['/data ', '/data ', 'spaces at its ends'],
  ])('%j is kept with a warning', (key, path, problem) => {
    const { volumes, warnings } = declaredVolumes(config(key))
    expect(volumes).toEqual([path])
    expect(warnings).toMatchObject([{ severity: 'warning', reason: 'VolumePathInvalid' }])
    expect(warnings[0]?.message).toContain(problem)
    expect(warnings[0]?.message).not.toContain('\n')
  })

  test('that cannot be are errors, and the others stay', () => {
    const { volumes, warnings } = declaredVolumes(config('/data', '/proc/sys'))
    expect(volumes).toEqual(['/data'])
    expect(warnings).toEqual([
      {
        severity: 'error',
        reason: 'VolumePathInvalid',
        path: 'VOLUME /proc/sys',
        message:
          'the image declares the volume "/proc/sys", which is /proc or below it, which belongs to the runtime',
      },
    ])
  })
})
