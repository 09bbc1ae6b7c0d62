/** `npm run generate`: writes every file that is generated from the schema or from the command tree. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { commandsPage, COMMANDS_PAGE } from '../src/cli/commands-page.ts'
import { generatedFiles } from '../src/crd/publish/files.ts'

const root = join(import.meta.dirname, '..')

for (const { path, content } of [...generatedFiles(), { path: COMMANDS_PAGE, content: commandsPage() }]) {
  const target = join(root, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, content)
  console.log(`wrote ${path} (${Buffer.byteLength(content)} bytes)`)
}
