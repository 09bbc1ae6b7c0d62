import { describe, expect, test } from 'vitest'
import { stopSignal } from '../../src/bundle/stop-signal.ts'

test.each([
  [undefined, 'SIGTERM'],
  ['', 'SIGTERM'],
  ['SIGTERM', 'SIGTERM'],
  ['quit', 'SIGQUIT'],
  ['SIGWINCH', 'SIGWINCH'],
  ['15', '15'],
  ['64', '64'],
  ['SIGRTMIN', '34'],
  ['SIGRTMIN+3', '37'],
  ['RTMAX-1', '63'],
])('%j is %s to a runtime', (wanted, signal) => {
  expect(stopSignal(wanted)).toEqual({ signal, warnings: [] })
})

describe('what is no signal never gets onto a command line', () => {
  test.each([
    'SIGFOO',
    '9; rm -rf /',
    '--all',
    '-1',
    '0',
    '65',
    '999',
    'SIG',
    'SIGRTMIN+31',
    'RTMAX-31',
    '9\n',
    'RTMIN-1',
  ])('%j', (wanted) => {
    const { signal, warnings } = stopSignal(wanted)
    expect(signal).toBe('SIGTERM')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({ severity: 'warning', path: 'config.StopSignal' })
  })
})
