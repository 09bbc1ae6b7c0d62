/** Reads the source as text for the tests about its structure. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const ROOT = path.join(import.meta.dirname, '../..')

export interface SourceFile {
  /** Relative to the checkout, with slashes: `src/crd/app.ts`. */
  readonly path: string
  readonly text: string
  /** The text with comments blanked out, so that words in prose are not taken for code. */
  readonly code: string
  /** What it imports, static, dynamic and re-exported alike: files relative to the checkout, packages by name. */
  readonly imports: readonly string[]
}

/** All TypeScript files below a folder of the checkout, sorted. */
export function sourceFiles(folder: string): readonly SourceFile[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .toSorted()
    .map((name) =>
      parseSource(path.posix.join(folder, name), readFileSync(path.join(ROOT, folder, name), 'utf8')),
    )
}

/** The same for a text at hand: how the tests show that a violation would be seen. */
export function parseSource(file: string, text: string): SourceFile {
  const code = withoutComments(text)
  return { path: file, text, code, imports: importsOf(file, code) }
}

/** Strings are matched too, so that `//` in one of them starts no comment. */
function withoutComments(text: string): string {
  const token = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/\*[\s\S]*?\*\/|(?<![\\:'"`])\/\/[^\n]*/g
  return text.replaceAll(token, (found) => (found.startsWith('/') ? found.replaceAll(/[^\n]/g, ' ') : found))
}

function importsOf(file: string, code: string): readonly string[] {
  const patterns = [
    /(?:^|[\n;}])\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /(?:^|[\n;}])\s*import\s*['"]([^'"]+)['"]/g,
    /\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g,
    /\brequire\s*\(\s*['"`]([^'"`]+)['"`]/g,
  ]
  const names = patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''))
  return names.map((name) => (name.startsWith('.') ? path.posix.join(path.posix.dirname(file), name) : name))
}
