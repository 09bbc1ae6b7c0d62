import { describe, expect, test } from 'vitest'
import { progressLine, type ProgressEvent } from '../../src/cli/progress-line.ts'
import { progressView, type ProgressRow } from '../../src/cli/progress-view.ts'
import { watchAnswers } from '../../src/cli/watch-answers.ts'

const MIB = 1024 * 1024

describe('a line', () => {
  test.each<[string, ProgressEvent | undefined, number, string]>([
    ['says what is waited for', undefined, 80, 'web: waits'],
    [
      'shows how far it is',
      { phase: 'Pulling', done: MIB, total: 2 * MIB },
      80,
      'web: Pulling [##########..........] 1.0 MiB of 2.0 MiB',
    ],
    [
      'leaves the bar out where there is no room',
      { phase: 'Pulling', done: MIB, total: 2 * MIB },
      60,
      'web: Pulling 1.0 MiB of 2.0 MiB',
    ],
    ['copes without a total', { phase: 'Unpacking', done: 512 }, 80, 'web: Unpacking 512 B'],
    [
      'copes with more than all',
      { phase: 'Pulling', done: 3 * MIB, total: MIB },
      80,
      'web: Pulling [####################] 3.0 MiB of 1.0 MiB',
    ],
    ['copes with a total of nothing', { phase: 'Pulling', done: 0, total: 0 }, 80, 'web: Pulling 0 B of 0 B'],
    [
      'escapes details',
      { phase: 'Seeding', detail: '/a\u001b[2J' },
      80,
      String.raw`web: Seeding /a\u001b[2J`,
    ],
    ['is cut where the line ends', { phase: 'Seeding', detail: 'x'.repeat(99) }, 20, 'web: Seeding xxxxxx…'],
  ])('%s', (_title, event, width, expected) => {
    expect(progressLine('web', event, 'waits', width)).toBe(expected)
  })
})

function shown(
  isTerminal: boolean,
  looks: readonly (readonly ProgressRow[])[],
  env: Record<string, string> = {},
): string {
  let text = ''
  const stderr = {
    write: (part: string) => void (text += part),
    stream: process.stderr,
    isTerminal,
    columns: 80,
  }
  const view = progressView({ stderr, env })
  for (const rows of looks) view.show(rows)
  view.clear()
  return text
}

describe('a view', () => {
  const row = (name: string, waiting: string): ProgressRow => ({ name, progress: undefined, waiting })
  const looks = [
    [row('a', 'waits'), row('b', 'waits')],
    [row('a', 'waits'), row('b', 'waits')],
    [row('a', 'Pulling'), row('b', 'waits')],
    [row('a', 'waits'), row('b', 'Ready')],
  ]

  test('in a log says each thing once', () => {
    expect(shown(false, looks)).toBe('a: waits\nb: waits\na: Pulling\nb: Ready\n')
    expect(shown(true, looks, { TERM: 'dumb' })).toBe(shown(false, looks))
  })

  test('in a log leaves out the numbers, not what is done to what', () => {
    const at = (progress: ProgressEvent): ProgressRow => ({ name: 'a', progress, waiting: 'waits' })
    const stopping = at({ phase: 'Stopping', detail: 'the container, up to 30 s\n' })
    const looks = [[at({ phase: 'Pulling', done: 1 })], [at({ phase: 'Pulling', done: 2 })], [stopping]]
    expect(shown(false, looks)).toBe('a: Pulling\na: Stopping the container, up to 30 s\\u000a\n')
  })

  test('on a terminal overwrites its lines, only when they change, and takes them away', () => {
    const up = '\u001b[2A\u001b[0J'
    expect(shown(true, looks)).toBe(
      `a: waits\nb: waits\n${up}a: Pulling\nb: waits\n${up}a: waits\nb: Ready\n${up}`,
    )
  })
})

test('a watch looks again and again, and prints only what changed', async () => {
  const answers = ['a', 'a', 'b', 'b', 'a']
  const abort = new AbortController()
  const printed: string[] = []
  let look = 0
  const show = () => {
    const fingerprint = answers[look++] ?? ''
    if (look === answers.length) abort.abort()
    return { fingerprint, print: async () => void printed.push(fingerprint) }
  }
  const stdout = { write: () => undefined, stream: process.stdout, isTerminal: false, columns: 80 }
  await watchAnswers({ signal: abort.signal, stdout }, show, 1)
  expect(printed).toEqual(['a', 'b', 'a'])
})
