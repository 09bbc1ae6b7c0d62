import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandsPage, COMMANDS_PAGE } from '../../src/cli/commands-page.ts'
import { allCommands, HOST_TREE } from '../../src/cli/commands.ts'
import { PLUGIN_TREE } from '../../src/cli/tree/cluster.ts'

test('docs/commands.md is what the command tree says; "npm run generate" writes it', () => {
  expect(readFileSync(join(import.meta.dirname, '../..', COMMANDS_PAGE), 'utf8')).toBe(commandsPage())
})

test.each([HOST_TREE, PLUGIN_TREE])(
  'every command of $program has its section, hidden ones have none',
  (tree) => {
    const start = `## ${tree.program} `
    const sections = commandsPage()
      .split('\n')
      .filter((line) => line.startsWith(start))
      .map((line) => line.slice(start.length))
    expect(sections).toEqual(
      allCommands(tree.groups)
        .filter(({ spec }) => spec.hidden !== true)
        .map(({ words }) => words),
    )
  },
)
