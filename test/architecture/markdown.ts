/** Reads the documentation as text for the tests that hold it to the code. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from './source-files.ts'

export interface Page {
  /** Relative to the checkout: `docs/concepts.md`. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly CodeBlock[]
  /** The text with code blocks and comments left out: where links and code spans are. */
  readonly prose: string
}

export interface CodeBlock {
  readonly language: string
  readonly text: string
  /** The heading that it stands under. */
  readonly heading: string
  /** Line of its first line in the page, from 1. */
  readonly line: number
}

/** The README, the contributor's guide and everything in docs. */
export function pages(): readonly Page[] {
  const docs = readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
  const names = ['README.md', 'CONTRIBUTING.md', ...docs.toSorted().map((name) => `docs/${name}`)]
  return names.map((name) => parsePage(name, readFileSync(path.join(ROOT, name), 'utf8')))
}

export function parsePage(name: string, text: string): Page {
  const blocks: CodeBlock[] = []
  const prose: string[] = []
  let heading = ''
  let fence: { language: string; line: number; lines: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const mark = /^ *```(\w*)/.exec(line)
    if (mark !== null && fence === undefined) {
      fence = { language: mark[1] ?? '', line: index + 2, lines: [] }
    } else if (mark !== null && fence !== undefined) {
      blocks.push({ language: fence.language, text: fence.lines.join('\n'), heading, line: fence.line })
      fence = undefined
    } else if (fence === undefined) {
      heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
      prose.push(line)
    } else fence.lines.push(line)
  }
  if (fence !== undefined) throw new Error(`${name}:${fence.line}: a code block without an end`)
  return { path: name, text, blocks, prose: prose.join('\n').replaceAll(/<!--[\s\S]*?-->/g, '') }
}

export function headings(page: Page): readonly string[] {
  return [...page.prose.matchAll(/^#+ (.*)$/gm)].map((match) => match[1] ?? '')
}

/** Headings of the second level only. */
export function sections(page: Page): readonly string[] {
  return [...page.prose.matchAll(/^## (.*)$/gm)].map((match) => match[1] ?? '')
}

/** The name that a heading is linked by, as GitHub makes it. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}

/** Targets of links to files and headings of this checkout. */
export function localLinks(page: Page): readonly string[] {
  return [...page.prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
}

/** Inline code, line ends made spaces. */
export function codeSpans(page: Page): readonly string[] {
  return [...page.prose.matchAll(/`([^`]+)`/g)].map((match) => (match[1] ?? '').replaceAll(/\s+/g, ' '))
}

/** First cells of a table's rows under a heading, without the titles. */
export function tableRows(page: Page, heading: string): readonly (readonly string[])[] {
  const lines = page.prose.split('\n')
  const from = lines.findIndex((line) => line.startsWith('#') && line.endsWith(` ${heading}`))
  const to = lines.findIndex((line, index) => index > from && line.startsWith('#'))
  const rows = lines
    .slice(from, to === -1 ? undefined : to)
    .filter((line) => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line))
  return rows.slice(1).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/**
 * The words of each `fairlead` command in a shell text: comments, environment, sudo, folders before the program and
 * whatever follows a pipe or redirection are left out.
 */
export function fairleadCommands(text: string): readonly (readonly string[])[] {
  return commandLines(text).flatMap((words) =>
    /^(?:\S*\/)?fairlead$/.test(words[0] ?? '') ? [words.slice(1)] : [],
  )
}

/** The same of `kubectl fairlead`. */
export function pluginCommands(text: string): readonly (readonly string[])[] {
  return commandLines(text).flatMap((words) =>
    words[0] === 'kubectl' && words[1] === 'fairlead' ? [words.slice(2)] : [],
  )
}

/** The words of every command, from the program on; a line that ends in a backslash goes on. */
export function commandLines(text: string): readonly (readonly string[])[] {
  return text
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .flatMap((line) => {
      const words = shellWords(line)
      const start = words.findIndex((word) => !/^(?:sudo|\w+=.*)$/.test(word))
      if (start === -1) return []
      const end = words.findIndex((word) => /^(?:\||>|>>|<|&&|;)$/.test(word))
      return [words.slice(start, end === -1 ? undefined : end)]
    })
}

function shellWords(line: string): readonly string[] {
  const words: string[] = []
  for (const match of line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)) {
    const bare = match[3]
    if (bare?.startsWith('#') === true) break
    words.push(match[1] ?? match[2] ?? bare ?? '')
  }
  return words
}
