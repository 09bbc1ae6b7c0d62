/** Helm and kubectl for tests that render and need no cluster: from PATH, else those that `make images` built. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { cacheRoot } from '../../scripts/lib/cache.ts'
import { mustRun } from '../../scripts/lib/run.ts'
import { fieldsOf, textOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'

export const ROOT = join(import.meta.dirname, '../..')
export const CHART = join(ROOT, 'charts/fairlead')

/** A program and the words before the arguments. */
type Tool = readonly [program: string, ...first: readonly string[]]

export const HELM = inPath('helm') ?? inCache('cluster-tools-', 'helm')
export const KUBECTL = inPath('kubectl') ?? inCache('cluster-kube-', 'kube', 'kubectl')

/** Whether to skip for want of it. Under CI never: there the test runs, and fails. */
export function isToolMissing(tool: Tool | undefined): boolean {
  return tool === undefined && process.env['CI'] === undefined
}

/** Runs the tool; returns its stdout. */
export async function runTool(tool: Tool | undefined, ...args: readonly string[]): Promise<string> {
  if (tool === undefined) throw new Error('the program is missing: run "make images"')
  const [program, ...first] = tool
  return await mustRun(program, [...first, ...args])
}

/** Every document of a stream of YAML. */
export function documentsOf(text: string): readonly Fields[] {
  return parseAllDocuments(text)
    .map((document) => fieldsOf(document.toJS()))
    .filter((object) => Object.keys(object).length > 0)
}

export function ofKind(objects: readonly Fields[], kind: string): readonly Fields[] {
  return objects.filter((object) => object['kind'] === kind)
}

export function nameOf(object: Fields): string {
  return textOf(fieldsOf(object['metadata'])['name']) ?? ''
}

function inPath(name: string): Tool | undefined {
  const dirs = (process.env['PATH'] ?? '').split(':')
  const dir = dirs.find((candidate) => existsSync(join(candidate, name)))
  return dir === undefined ? undefined : [join(dir, name)]
}

function inCache(prefix: string, name: string, ...first: readonly string[]): Tool | undefined {
  if (!existsSync(cacheRoot())) return undefined
  const folders = readdirSync(cacheRoot()).filter((folder) => folder.startsWith(prefix))
  const found = folders.map((folder) => join(cacheRoot(), folder, name)).find((file) => existsSync(file))
  return found === undefined ? undefined : [found, ...first]
}
