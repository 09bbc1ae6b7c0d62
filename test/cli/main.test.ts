import { spawnSync, type StdioOptions } from 'node:child_process'
import { openSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const MAIN = path.join(import.meta.dirname, '../../src/main.ts')

function run(args: readonly string[], stdio: StdioOptions) {
  return spawnSync(process.execPath, [MAIN, ...args], { stdio, encoding: 'utf8', timeout: 60_000 })
}

describe('an answer that can not be written', () => {
  // The kernel's own full disk.
  test.each([[['version']], [['--help']], [['completion', 'bash']]])(
    '%j ends with 1 and says why',
    (args) => {
      const { status, stderr } = run(args, ['ignore', openSync('/dev/full', 'w'), 'pipe'])
      expect({ status, stderr }).toEqual({ status: 1, stderr: 'DiskFull: no space left on the device\n' })
    },
  )

  test('ends with 1 also where nobody can be told', () => {
    const full = openSync('/dev/full', 'w')
    expect(run(['version'], ['ignore', full, full]).status).toBe(1)
  })

  test('is no failure when the reader went away', () => {
    const script = `${process.execPath} ${MAIN} --help | head -n 1; exit "\${PIPESTATUS[0]}"`
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: fairlead/)
  })
})
