/**
 * Every generated file of the repository: from the schema, from the command tree, from Argo CD's Lua files, and from the
 * table of what other tools make of layers.
 */
import path from 'node:path'
import { commandsPage, COMMANDS_PAGE } from '../../src/cli/commands-page.ts'
import { generatedFiles } from '../../src/crd/publish/files.ts'
import type { GeneratedFile } from '../../src/crd/publish/files.ts'
import { DIVERGENCE_PAGE, divergencePage } from '../../test/conformance/layers/divergence-page.ts'
import { readTable } from '../../test/conformance/layers/divergence-table.ts'
import { argocdSnippet } from './argocd-snippet.ts'

export const ROOT = path.join(import.meta.dirname, '../..')

export function allGeneratedFiles(): readonly GeneratedFile[] {
  return [
    ...generatedFiles(),
    { path: COMMANDS_PAGE, content: commandsPage() },
    argocdSnippet(path.join(ROOT, 'argocd')),
    { path: DIVERGENCE_PAGE, content: divergencePage(readTable()) },
  ]
}
