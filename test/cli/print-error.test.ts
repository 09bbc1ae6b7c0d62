import { describe, expect, test } from 'vitest'
import { Interruption, type CliContext } from '../../src/cli/context.ts'
import { printError } from '../../src/cli/print-error.ts'
import { InvalidInputError, UsageError } from '../../src/cli/usage-error.ts'
import { ExpectedError, IssuesError, type Issue } from '../../src/errors.ts'

function printed(error: unknown, env: Readonly<Record<string, string>> = {}) {
  let text = ''
  const context = { env, stderr: { write: (part: string) => (text += part) } } as unknown as CliContext
  return { code: printError(context, error), text }
}

const ISSUES: readonly Issue[] = [
  {
    severity: 'error',
    reason: 'InvalidSpec',
    path: 'spec.image',
    message: 'is missing',
    location: 'a.yaml:3',
  },
  { severity: 'warning', reason: 'UnsupportedField', path: 'spec.probes', message: 'is not run' },
]

function system(code: string, path?: string): Error {
  return Object.assign(new Error(`${code}: what the system said`), {
    code,
    ...(path === undefined ? {} : { path }),
  })
}

describe('an error on a terminal', () => {
  const LONG =
    'the registry refused it because of a reason that takes many words; to see more: run "fairlead explain registry.example.com/team/app:1.2" and read'
  const shown = (isTerminal: boolean, env: Readonly<Record<string, string>> = {}) => {
    let text = ''
    const stderr = { write: (part: string) => (text += part), isTerminal, columns: 60 }
    printError({ env, stderr } as unknown as CliContext, new ExpectedError('ImageNotFound', LONG))
    return text
  }

  test('is wrapped, set in, and cuts no command', () => {
    expect(shown(true)).toBe(
      `ImageNotFound: the registry refused it because of a reason
  that takes many words; to see more: run
  "fairlead explain registry.example.com/team/app:1.2" and
  read
`,
    )
  })

  test('and into a pipe is one line, unless COLUMNS is set', () => {
    expect(shown(false)).toBe(`ImageNotFound: ${LONG}\n`)
    expect(shown(false, { COLUMNS: '60' })).toBe(shown(true))
  })
})

describe('an error', () => {
  test.each<[string, unknown, number, string]>([
    ['expected', new ExpectedError('ImageNotFound', 'no such tag'), 1, 'ImageNotFound: no such tag\n'],
    [
      'expected, with a place',
      new ExpectedError('InvalidSpec', 'must be a digest', { path: 'spec.image' }),
      1,
      'InvalidSpec: spec.image: must be a digest\n',
    ],
    [
      'whose message names the place',
      new ExpectedError('StateCorrupt', '/s/a is not JSON', { path: '/s/a' }),
      1,
      'StateCorrupt: /s/a is not JSON\n',
    ],
    ['of usage', new UsageError('must be a number', '--tail'), 2, 'InvalidSpec: --tail: must be a number\n'],
    [
      'with issues',
      new IssuesError(ISSUES),
      1,
      'InvalidSpec: a.yaml:3: spec.image: is missing\nWarning: UnsupportedField: spec.probes: is not run\n',
    ],
    [
      'of input',
      new InvalidInputError(ISSUES.slice(0, 1)),
      2,
      'InvalidSpec: a.yaml:3: spec.image: is missing\n',
    ],
    [
      'over several lines',
      new ExpectedError('RuntimeFailed', 'one\ntwo\u001b[2J'),
      1,
      'RuntimeFailed: one\\u000atwo\\u001b[2J\n',
    ],
    [
      'of missing rights',
      system('EACCES', '/state/apps'),
      1,
      'PermissionDenied: not allowed to use /state/apps; run the command as root, e.g. with sudo\n',
    ],
    ['of a full disk', system('ENOSPC'), 1, 'DiskFull: no space left on the device\n'],
    [
      'that nobody expected',
      new TypeError('x is undefined'),
      1,
      'InternalError: x is undefined; this is a bug in Fairlead, FAIRLEAD_DEBUG=1 shows where\n',
    ],
    [
      'that is no error',
      'text',
      1,
      'InternalError: text; this is a bug in Fairlead, FAIRLEAD_DEBUG=1 shows where\n',
    ],
    ['by interruption', new Interruption('SIGINT'), 1, 'interrupted\n'],
  ])('%s is printed without a stack', (_title, error, code, text) => {
    expect(printed(error)).toEqual({ code, text })
  })

  test('shows where it came from only under FAIRLEAD_DEBUG', () => {
    const error = new ExpectedError('ImageNotFound', 'no such tag')
    expect(printed(error, { FAIRLEAD_DEBUG: '1' }).text).toMatch(/^ImageNotFound: no such tag\n.*at /s)
    expect(printed(error, { FAIRLEAD_DEBUG: '' }).text).toBe('ImageNotFound: no such tag\n')
  })
})
