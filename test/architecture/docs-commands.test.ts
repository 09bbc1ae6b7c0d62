/** Every command in the documentation is one that the program takes: `fairlead` and `kubectl fairlead` alike. */
import { CommanderError } from 'commander'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { HOST_TREE } from '../../src/cli/commands.ts'
import type { CommandTree } from '../../src/cli/commands.ts'
import type { CliContext, Output } from '../../src/cli/context.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { PLUGIN_TREE } from '../../src/cli/tree/cluster.ts'
import { codeSpans, fairleadCommands, pages, pluginCommands } from './markdown.ts'

const all = pages()
const blocks = all.flatMap((page) =>
  page.blocks.map((block) => ({ page, block, at: `${page.path}:${block.line}` })),
)

/** Lets the real parser read a command without running it; undefined when it is fine. */
async function usageProblem(
  words: readonly string[],
  tree: CommandTree = HOST_TREE,
): Promise<CommanderError | undefined> {
  const program = buildProgram(silentContext(), async () => undefined, tree)
  try {
    await program.parseAsync([...words], { from: 'user' })
    return undefined
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? undefined : error
    throw error
  }
}

function silentContext(): CliContext {
  const nowhere: Output = {
    write: () => undefined,
    stream: new PassThrough(),
    isTerminal: false,
    columns: 80,
  }
  return {
    stdin: new PassThrough(),
    stdout: nowhere,
    stderr: nowhere,
    env: {},
    cwd: '/',
    isRoot: true,
    mainFile: '',
    now: () => 0,
    signal: new AbortController().signal,
  }
}

/** In running text a command is often named without its arguments; its options must be right all the same. */
function isOnlyShortened(error: CommanderError): boolean {
  return (
    ['commander.missingArgument', 'commander.help'].includes(error.code) ||
    /required option/.test(error.message)
  )
}

describe('commands', () => {
  const lines = blocks
    .filter(({ block }) => ['sh', 'ini', 'console'].includes(block.language))
    .flatMap(({ at, block }) =>
      fairleadCommands(block.text.replaceAll('ExecStart=', '')).map((words) => ({
        at,
        line: words.join(' '),
        words,
      })),
    )
  const spans = [
    ...new Set(all.flatMap((from) => codeSpans(from)).filter((span) => span.startsWith('fairlead '))),
  ]

  test('are there', () => {
    expect(lines.length).toBeGreaterThan(15)
    expect(spans.length).toBeGreaterThan(15)
  })

  test.each(lines)('$at: fairlead $line', async ({ words }) => {
    expect(await usageProblem(words)).toBeUndefined()
  })

  test.each(spans)('%s', async (span) => {
    const problem = await usageProblem(fairleadCommands(span)[0] ?? ['no-command'])
    expect(problem === undefined || isOnlyShortened(problem) ? '' : problem.message).toBe('')
  })

  test.each(['staus', 'up --file-name x', 'volumes list', 'render -f x --engine docker', 'down x --volume'])(
    'would be found out: fairlead %s',
    async (line) => {
      const problem = await usageProblem(line.split(' '))
      expect(problem !== undefined && !isOnlyShortened(problem)).toBe(true)
    },
  )
})

describe('commands of the kubectl plugin', () => {
  const lines = blocks
    .filter(({ block }) => ['sh', 'console'].includes(block.language))
    .flatMap(({ at, block }) =>
      pluginCommands(block.text).map((words) => ({ at, line: words.join(' '), words })),
    )
  // In tables an argument that may be left out is in brackets.
  const spans = [
    ...new Set(
      all
        .flatMap((from) => codeSpans(from))
        .filter((span) => /^kubectl fairlead [a-z]/.test(span))
        .map((span) => span.replaceAll(/[[\]]/g, '')),
    ),
  ]

  test('are there', () => {
    expect(lines.length).toBeGreaterThanOrEqual(1)
    expect(spans.length).toBeGreaterThanOrEqual(4)
  })

  test.each(lines)('$at: kubectl fairlead $line', async ({ words }) => {
    expect(await usageProblem(words, PLUGIN_TREE)).toBeUndefined()
  })

  test.each(spans)('%s', async (span) => {
    const problem = await usageProblem(pluginCommands(span)[0] ?? ['no-command'], PLUGIN_TREE)
    expect(problem === undefined || isOnlyShortened(problem) ? '' : problem.message).toBe('')
  })

  test.each(['up -f x', 'status --namespaces x', 'rollback x --digest y'])(
    'would be found out: kubectl fairlead %s',
    async (line) => {
      const problem = await usageProblem(line.split(' '), PLUGIN_TREE)
      expect(problem !== undefined && !isOnlyShortened(problem)).toBe(true)
    },
  )

  test('are all in the table of docs/kubernetes.md', () => {
    const commands = PLUGIN_TREE.groups.flatMap((group) => group.commands.map(({ name }) => name))
    const named = new Set(spans.map((span) => span.split(' ')[2]))
    expect(commands.filter((name) => !named.has(name))).toEqual([])
  })
})
