/** The plugin's command tree: every command can be asked for help, and its examples are commands that there are. */
import { beforeEach, describe, expect, test } from 'vitest'
import { allCommands } from '../../../src/cli/commands.ts'
import type { CliContext, ClusterChoice } from '../../../src/cli/context.ts'
import { buildProgram } from '../../../src/cli/program.ts'
import { PLUGIN_TREE } from '../../../src/cli/tree/cluster.ts'
import { ClusterDesk } from './world.ts'

const COMMANDS = allCommands(PLUGIN_TREE.groups)

let desk: ClusterDesk
beforeEach(() => {
  desk = new ClusterDesk()
  return () => desk[Symbol.dispose]()
})

describe('help', () => {
  test.each([[['--help']], ...COMMANDS.map(({ words }) => [[...words.split(' '), '--help']])])(
    '%j ends with 0, fits into 80 columns, needs no cluster',
    async (args) => {
      const { code, stdout, stderr } = await desk.run(args)
      expect({ code, stderr, calls: desk.kube.calls }).toEqual({ code: 0, stderr: '', calls: [] })
      expect(stdout).toContain('Usage: kubectl fairlead')
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    },
  )

  test('has all commands of a cluster', () => {
    expect(COMMANDS.map(({ words }) => words).toSorted()).toEqual([
      'check',
      'diff',
      'explain',
      'rebuild',
      'render',
      'restart',
      'rollback',
      'status',
      'volumes ls',
      'volumes rm',
    ])
  })
})

describe('the options of every kubectl plugin', () => {
  const kubeconfig = ['--kubeconfig', 'k.yaml', '--context', 'c', '-n', 'team']

  test.each([
    [[...kubeconfig, 'status']],
    [['status', ...kubeconfig]],
    [['-n', 'other', 'status', ...kubeconfig]],
    [[...kubeconfig, 'volumes', 'ls']],
    [['volumes', ...kubeconfig, 'ls']],
    [['volumes', 'ls', ...kubeconfig]],
    [['--kubeconfig=k.yaml', 'status', '--context=c', '--namespace=team']],
  ])('stand anywhere: %j', async (args) => {
    const choices: ClusterChoice[] = []
    const client = desk.kube
    const connectCluster = (choice: ClusterChoice) => {
      choices.push(choice)
      return Promise.resolve({ client, namespace: 'chat' })
    }
    const { stderr } = await desk.desk.run(args, { tree: PLUGIN_TREE, connectCluster })
    expect(choices).toEqual([{ path: 'k.yaml', context: 'c' }])
    expect(stderr).toMatch(/^no (?:apps|volumes) in namespace team\n$/)
  })

  test.each(COMMANDS)('are in the help of $words, once', async ({ words }) => {
    const { stdout } = await desk.run([...words.split(' '), '--help'])
    for (const option of ['--namespace', '--kubeconfig', '--context'])
      expect(stdout.split(`${option} <`).length - 1, option).toBe(1)
  })
})

test.each([
  ['none.yaml', /^NotFound: the kubeconfig cannot be used: there is no file none\.yaml$/m],
  ['/', /^InvalidSpec: .*the kubeconfig cannot be used: /],
])('a kubeconfig that cannot be used (%s) is wrong input', async (file, said) => {
  const { code, stdout, stderr } = await desk.desk.run(['status', '--kubeconfig', file], {
    tree: PLUGIN_TREE,
  })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(said)
})

describe('examples', () => {
  const examples = COMMANDS.flatMap(({ words, spec }) =>
    (spec.examples ?? []).map((example) => [example.words, words] as const),
  )

  test('are there for every command', () => {
    expect(COMMANDS.filter(({ spec }) => (spec.examples ?? []).length === 0)).toEqual([])
  })

  test.each(examples)('kubectl fairlead %s', async (example, words) => {
    let ran: string | undefined
    const output = { write: () => undefined, stream: process.stderr, isTerminal: false, columns: 80 }
    const program = buildProgram(
      { stdout: output, stderr: output } as unknown as CliContext,
      (spec) => {
        ran = COMMANDS.find((command) => command.spec === spec)?.words
        return Promise.resolve()
      },
      PLUGIN_TREE,
    )
    await program.parseAsync(example.split(' '), { from: 'user' })
    expect(ran).toBe(words)
  })
})
