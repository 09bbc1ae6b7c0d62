import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandsPage, COMMANDS_PAGE } from '../../src/cli/commands-page.ts'
import { allCommands } from '../../src/cli/commands.ts'

test('docs/commands.md is what the command tree says; "npm run generate" writes it', () => {
  expect(readFileSync(join(import.meta.dirname, '../..', COMMANDS_PAGE), 'utf8')).toBe(commandsPage())
})

test('every command has its section, hidden ones have none', () => {
  const sections = commandsPage()
    .split('\n')
    .filter((line) => line.startsWith('## fairlead '))
    .map((line) => line.slice('## fairlead '.length))
  expect(sections).toEqual(
    allCommands()
      .filter(({ spec }) => spec.hidden !== true)
      .map(({ words }) => words),
  )
})
