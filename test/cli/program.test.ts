import { beforeEach, describe, expect, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'
import { allCommands } from '../../src/cli/commands.ts'
import type { CliContext } from '../../src/cli/context.ts'
import type { CommandCall } from '../../src/cli/command-spec.ts'
import { Desk } from './run.ts'

const COMMANDS = allCommands()
const VISIBLE = COMMANDS.filter(({ spec }) => spec.hidden !== true)
const EXAMPLES = VISIBLE.flatMap(({ words, spec }) =>
  (spec.examples ?? []).map((example) => [example.words, words] as const),
)

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

describe('wrong usage ends with 2 and says what would be right', () => {
  test.each([
    ['a misspelled command', ['sttus'], 'Did you mean status?'],
    ['an unknown command', ['frobnicate'], "unknown command 'frobnicate'"],
    ['a misspelled subcommand', ['volumes', 'lss'], 'Did you mean ls?'],
    ['a misspelled option', ['status', '--outptu', 'json'], 'Did you mean --output?'],
    ['a misspelled option beside a missing one', ['up', '--fil', 'a.yaml'], 'Did you mean --file?'],
    ['a missing option', ['up'], "required option '-f, --file <file...>'"],
    ['an unknown format', ['status', '-o', 'xml'], 'table, json, yaml'],
    ['an unknown runtime', ['up', '-f', 'x', '--runtime', 'docker'], 'runc, crun'],
    ['a missing argument', ['logs'], "missing required argument 'name'"],
    ['too many arguments', ['status', 'a', 'b'], 'too many arguments'],
    ['a name that can not be', ['status', 'No_Name'], 'name or namespace/name'],
    ['a namespace that can not be', ['status', 'a', '-n', 'A_'], '--namespace'],
    ['a name with two slashes', ['logs', 'a/b/c'], 'name or namespace/name'],
    ['a duration that is none', ['up', '-f', 'x', '--wait-timeout', '5 minutes'], 'such as 90s or 5m'],
    ['a duration of nothing', ['down', 'x', '--wait-timeout', '0'], 'above 0'],
    ['a count that is none', ['logs', 'x', '--tail', '-3'], 'whole number'],
    ['a reference that is none', ['resolve', 'library/UPPER'], 'InvalidReference'],
    ['a transport of other tools', ['inspect', 'docker://nginx'], 'InvalidReference'],
    ['a platform that is none', ['resolve', 'oci:x', '--platform', 'linux'], '--platform'],
    ['a volume path that can not be', ['volumes', 'rm', 'a', '/proc'], 'VolumePathInvalid'],
    ['apps and files at once', ['down', 'a', '-f', 'x.yaml'], 'not both'],
    ['neither apps nor files', ['down'], 'name the apps'],
    ['a shell that nobody has', ['completion', 'bsh'], 'did you mean bash?'],
    ['an engine that is none', ['render', '-f', 'x', '--engine', 'nomad'], 'local, kubernetes'],
    ['exec without a command', ['exec', 'a'], "missing required argument 'command'"],
    ['exec with nothing after --', ['exec', 'a', '--'], 'after --'],
    ['groups need a command', ['volumes'], 'Usage: fairlead volumes'],
    ['nothing at all', [], 'Usage: fairlead'],
  ])('%s', async (_title, args, said) => {
    const result = await desk.run(args)
    expect(result.stderr).toContain(said)
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 2, stdout: '' })
  })
})

test('a slip of the keyboard can not send control characters to the terminal', async () => {
  const { stderr } = await desk.run(['status', '\u001b[31mred'])
  // oxlint-disable-next-line no-control-regex -- that is what must not be there
  expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/)
})

describe('help', () => {
  test.each([
    [['--help']],
    [['-h']],
    [['help']],
    ...VISIBLE.map(({ words }) => [[...words.split(' '), '--help']]),
  ])('%j ends with 0, fits into 80 columns', async (args) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test.each(VISIBLE.map(({ words, spec }) => [words, spec] as const))(
    '%s has examples and says what every word means',
    async (words, spec) => {
      const { stdout } = await desk.run([...words.split(' '), '--help'])
      expect(spec.examples?.length).toBeGreaterThan(0)
      expect(stdout).toContain('Examples:')
      for (const { flags, description } of spec.options ?? [])
        expect([flags, description]).toEqual([flags, expect.stringMatching(/\w/)])
    },
  )

  test('has a sister that tells the version alone', async () => {
    const { code, stdout, stderr } = await desk.run(['--version'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^fairlead \d+\.\d+\.\d+\n$/)
  })

  test('does not show hidden commands', async () => {
    expect((await desk.run(['--help'])).stdout).not.toContain('__complete')
  })
})

describe('examples', () => {
  test.each(EXAMPLES)('fairlead %s', async (example, words) => {
    const { ran } = await parse(example.split(' '))
    expect(ran).toBe(words)
  })
})

describe('parsing', () => {
  test.each<[string, readonly string[], (call: CommandCall) => unknown, unknown]>([
    [
      'takes many files after one -f',
      ['up', '-f', 'a', 'b', '--no-wait'],
      (call) => [call.options.list('file'), call.options.flag('wait')],
      [['a', 'b'], false],
    ],
    ['takes many -f', ['up', '-f', 'a', '-f', '-'], (call) => call.options.list('file'), ['a', '-']],
    ['waits unless told not to', ['up', '-f', 'a'], (call) => call.options.flag('wait'), true],
    [
      'takes the state folder before the command',
      ['--state', '/s', 'status'],
      (call) => call.options.text('state'),
      '/s',
    ],
    [
      'takes the state folder after the command',
      ['status', '--state', '/s'],
      (call) => call.options.text('state'),
      '/s',
    ],
    [
      'leaves options after -- to the command',
      ['exec', 'a', '--', 'ls', '-l', '--', '-i'],
      (call) => [call.args, call.options.flag('interactive')],
      [['a', '--', 'ls', '-l', '--', '-i'], false],
    ],
    [
      'leaves options after the name to the command',
      ['exec', '-i', 'a', 'ls', '-t'],
      (call) => [call.args, call.options.flag('tty')],
      [['a', 'ls', '-t'], false],
    ],
    [
      'takes switches together',
      ['exec', '-it', 'a', 'sh'],
      (call) => [call.options.flag('interactive'), call.options.flag('tty')],
      [true, true],
    ],
    [
      'takes - as a file',
      ['volumes', 'export', 'a', '/d', '-o', '-'],
      (call) => call.options.text('output'),
      '-',
    ],
  ])('%s', async (_title, args, read, expected) => {
    const { call } = await parse(args)
    expect(call === undefined ? undefined : read(call)).toEqual(expected)
  })
})

describe('commands that need root', () => {
  test.each(
    COMMANDS.filter(({ spec }) => spec.needsRoot === true).map(({ words, spec }) => [words, spec] as const),
  )('%s says so to others', async (words, spec) => {
    const example = spec.examples?.[0]?.words.split(' ') ?? []
    const { code, stderr } = await desk.run(example, { isRoot: false })
    expect(stderr).toMatch(
      new RegExp(`^PermissionDenied: fairlead ${words.split(' ').at(-1) ?? ''} needs root`),
    )
    expect(code).toBe(1)
  })
})

async function parse(
  args: readonly string[],
): Promise<{ ran: string | undefined; call: CommandCall | undefined }> {
  let ran: string | undefined
  let call: CommandCall | undefined
  const output = { write: () => undefined, stream: process.stderr, isTerminal: false, columns: 80 }
  const context = { stdout: output, stderr: output } as unknown as CliContext
  const program = buildProgram(context, async (spec, parsed) => {
    ran = COMMANDS.find((command) => command.spec === spec)?.words
    call = parsed
  })
  await program.parseAsync(args, { from: 'user' })
  return { ran, call }
}
