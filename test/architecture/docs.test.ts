/** The documentation is held to the code: reasons, links, settings, resources and messages. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { CONDITION_TYPES } from '../../src/crd/conditions.ts'
import { parseDocuments } from '../../src/crd/documents.ts'
import { parseConfig } from '../../src/engine/local/config.ts'
import { REASONS } from '../../src/errors.ts'
import { clusterSupportIssues } from '../../src/reconcile/kubernetes/support.ts'
import { localSupportIssues } from '../../src/reconcile/local-support.ts'
import { DEFAULT_LIMITS } from '../../src/rootfs/limits.ts'
import {
  anchorOf,
  codeSpans,
  headings,
  localLinks,
  pages,
  parsePage,
  sections,
  tableRows,
} from './markdown.ts'
import type { CodeBlock, Page } from './markdown.ts'
import { parseSource, ROOT, sourceFiles } from './source-files.ts'

const all = pages()
const blocks = all.flatMap((page) =>
  page.blocks.map((block) => ({ page, block, at: `${page.path}:${block.line}` })),
)

function page(name: string): Page {
  const found = all.find((candidate) => candidate.path === name)
  if (found === undefined) throw new Error(`${name} is missing`)
  return found
}

function rowsOf(
  language: string,
  wanted: (block: CodeBlock) => boolean,
): readonly { at: string; text: string }[] {
  return blocks
    .filter(({ block }) => block.language === language && wanted(block))
    .map(({ at, block }) => ({ at, text: block.text }))
}

describe('the index', () => {
  test('names every page', () => {
    const linked = localLinks(page('docs/README.md'))
    const others = all.map(({ path: name }) => path.posix.relative('docs', name))
    const expected = others.filter((name) => name !== 'README.md' && !name.startsWith('..'))
    expect(expected.filter((name) => !linked.includes(name))).toEqual([])
  })
})

describe('troubleshooting', () => {
  const troubleshooting = page('docs/troubleshooting.md')
  const ownSections = sections(troubleshooting).filter((section) => !section.includes(' '))

  test('has one section for each reason, in the order of the code', () => {
    expect(ownSections).toEqual([...REASONS])
  })

  test('lists each reason in its table', () => {
    const linked = localLinks(troubleshooting).filter((target) => target.startsWith('#'))
    expect(REASONS.filter((reason) => !linked.includes(`#${anchorOf(reason)}`))).toEqual([])
  })

  test.each(REASONS)('says what to do about %s', (reason) => {
    const start = troubleshooting.text.indexOf(`\n## ${reason}\n`)
    const end = troubleshooting.text.indexOf('\n## ', start + 1)
    expect(troubleshooting.text.slice(start, end)).toContain('**Do:**')
  })

  test('explains every condition type', () => {
    const rows = tableRows(troubleshooting, 'Condition types and their good reasons')
    expect(rows.map(([type]) => type)).toEqual(CONDITION_TYPES.map((type) => `\`${type}\``))
  })

  test('knows every word that a condition can have', () => {
    const makers = sourceFiles('src/reconcile').filter(({ path }) => /status(-conditions)?\.ts$/.test(path))
    const words = [
      ...makers
        .map(({ code }) => code)
        .join('\n')
        .matchAll(/'([A-Z][A-Za-z]+)'/g),
    ].map((match) => match[1] ?? '')
    const noReasons = new Set([
      'True',
      'False',
      'Unknown',
      'Bound',
      'Required',
      'Forbidden',
      'Instance',
      'Volume',
    ])
    const spans = new Set<string>([...codeSpans(troubleshooting), ...REASONS])
    expect(words.length).toBeGreaterThan(20)
    expect(words.filter((word) => !noReasons.has(word) && !spans.has(word))).toEqual([])
  })
})

/** Sentences of the code, `…` for what is filled in. */
const SENTENCES = sourceFiles('src')
  .map(({ code }) =>
    code
      .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
      .replaceAll(/['`]\s*\+\s*['`]/g, '')
      .replaceAll(String.raw`\'`, "'"),
  )
  .join('\n')

/** The parts of a message that can be looked for in the code: at least two words between what differs. */
function fixedParts(message: string): readonly string[] {
  return message
    .split(/…|[,;:] |[()]/)
    .map((part) => part.replaceAll(/^[\s"';,.\]]+|[\s"';,[]+$/g, ''))
    .filter((part) => part.includes(' ') && !/^\d/.test(part))
}

function strangeParts(message: string): readonly string[] {
  return fixedParts(message).filter((part) => !SENTENCES.includes(part) && !isSeam(part))
}

/** The end of one sentence of the code and the beginning of another. */
function isSeam(part: string): boolean {
  const words = part.split(' ')
  return words.some((_, index) => {
    const halves = [words.slice(0, index), words.slice(index)]
    return index > 0 && halves.every((half) => SENTENCES.includes(half.join(' ')))
  })
}

describe('messages in troubleshooting', () => {
  const messages = blocks
    .filter(
      ({ page: { path: name }, block }) => name === 'docs/troubleshooting.md' && block.language === 'text',
    )
    .flatMap(({ block }) => block.text.split('\n').map((line) => ({ reason: block.heading, line })))

  test('are there for almost every reason', () => {
    expect(new Set(messages.map(({ reason }) => reason)).size).toBeGreaterThan(REASONS.length - 5)
  })

  test.each(messages)('$reason: $line', ({ reason, line }) => {
    // A warning, and what the app did, is shown without its reason.
    expect(/^([A-Z][A-Za-z]+): /.exec(line)?.[1] ?? reason).toBe(reason)
    // A line of gaps alone would hold for every message.
    expect(line.replace(/^[A-Z][A-Za-z]+: /, '')).toMatch(/[a-z]{2}/)
    expect(strangeParts(line)).toEqual([])
  })

  test('would be found out when the code says something else', () => {
    expect(strangeParts('NotFound: there is no application …; see the list of what there is')).not.toEqual([])
  })
})

describe('links', () => {
  const links = all.flatMap((from) => localLinks(from).map((target) => ({ from: from.path, target })))

  test('are there', () => {
    expect(links.length).toBeGreaterThan(50)
  })

  test.each(links)('$from leads to $target', ({ from, target }) => {
    expect(problemOf(from, target)).toBeUndefined()
  })

  test.each([
    ['docs/concepts.md', 'nowhere.md'],
    ['docs/concepts.md', 'operations.md#no-such-heading'],
    ['README.md', 'concepts.md'],
  ])('from %s to %s would be found broken', (from, target) => {
    expect(problemOf(from, target)).toBeDefined()
  })

  test('name only tests and sources that exist', () => {
    const named = all.flatMap((from) =>
      codeSpans(from).filter((span) => /^(?:test|src|scripts|examples|demo)\/[\w./-]+\.\w+$/.test(span)),
    )
    expect(named.filter((name) => !existsSync(path.join(ROOT, name)))).toEqual([])
  })
})

function problemOf(from: string, target: string): string | undefined {
  const [file = '', anchor] = target.split('#')
  const name = file === '' ? from : path.posix.join(path.posix.dirname(from), file)
  if (!existsSync(path.join(ROOT, name))) return `there is no ${name}`
  if (anchor === undefined) return undefined
  if (!statSync(path.join(ROOT, name)).isFile()) return `${name} has no headings`
  const text = readFileSync(path.join(ROOT, name), 'utf8')
  const anchors = headings(parsePage(name, text)).map(anchorOf)
  return anchors.includes(anchor) ? undefined : `${name} has no heading for #${anchor}`
}

describe('resources', () => {
  // Objects of other kinds (roles, applications) are `docs-cluster.test.ts`'.
  const documents = rowsOf('yaml', ({ text }) => /^kind: ContainerApp/m.test(text))

  test('are there', () => {
    expect(documents.length).toBeGreaterThanOrEqual(4)
  })

  test.each(documents)('$at is accepted as it is', ({ at, text }) => {
    const { documents: parsed, issues } = parseDocuments(text, at)
    expect(issues).toEqual([])
    expect(parsed.apps.length).toBeGreaterThan(0)
  })

  test.each(documents.filter(({ at }) => !at.startsWith('docs/resource.md')))(
    '$at asks for nothing that its engine does not do',
    ({ at, text }) => {
      const { apps } = parseDocuments(text, at).documents
      const supportIssues = /^docs\/(?:kubernetes|installation|operations-kubernetes)/.test(at)
        ? clusterSupportIssues
        : localSupportIssues
      expect(apps.flatMap(({ app }) => supportIssues(app))).toEqual([])
    },
  )
})

/** What the parser names when it is given a key that does not exist. */
function knownKeys(config: unknown): readonly string[] {
  try {
    parseConfig(config, 'config.yaml')
  } catch (error) {
    const list = /(?:there are|known are) ([\w, ]+)$/.exec((error as Error).message)?.[1]
    if (list !== undefined) return list.split(/, | and /)
  }
  throw new Error('the parser listed no keys')
}

const SETTINGS = knownKeys({ nope: 1 })
const REGISTRY_SETTINGS = knownKeys({ registries: { 'a.example': { nope: 1 } } })
const BACKOFF_SETTINGS = knownKeys({ backoff: { nope: 1 } })

describe('the configuration file', () => {
  const [example] = rowsOf('yaml', ({ text }) => text.startsWith('# /etc/fairlead/config.yaml'))
  const text = example?.text ?? ''
  const value = parse(text) as Record<string, Record<string, unknown>>

  test('is accepted as documented', () => {
    expect(text).not.toBe('')
    expect(() => parseConfig(value, 'config.yaml')).not.toThrow()
  })

  test('shows every setting and no other', () => {
    const registries = Object.values(value['registries'] ?? {}) as Record<string, unknown>[]
    expect(Object.keys(value).toSorted()).toEqual(SETTINGS.toSorted())
    expect(Object.keys(value['limits'] ?? {}).toSorted()).toEqual(Object.keys(DEFAULT_LIMITS).toSorted())
    expect(Object.keys(value['backoff'] ?? {}).toSorted()).toEqual(BACKOFF_SETTINGS.toSorted())
    expect([...new Set(registries.flatMap((entry) => Object.keys(entry)))].toSorted()).toEqual(
      REGISTRY_SETTINGS.toSorted(),
    )
  })

  test('shows the true defaults', () => {
    const { registries: _documented, ...shown } = parseConfig(value, 'config.yaml')
    const { registries: _none, ...defaults } = parseConfig({}, 'config.yaml')
    expect(shown).toEqual(defaults)
  })

  test('has a row for every setting, and none for others', () => {
    const named = tableRows(page('docs/operations.md'), 'Configuration file').flatMap(([cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
    )
    const simple = SETTINGS.filter((key) => !['limits', 'backoff', 'registries'].includes(key))
    const expected = [
      ...simple,
      'limits.*',
      ...BACKOFF_SETTINGS.map((key) => `backoff.${key}`),
      ...REGISTRY_SETTINGS.map((key) => `registries.HOST.${key}`),
    ]
    expect(named.toSorted()).toEqual(expected.toSorted())
  })
})

describe('the code map', () => {
  const rows = tableRows(page('docs/architecture.md'), 'Code map')
  const rooms = rows.map(([cell = '', , may = '']) => ({
    room: /\[src\/([-\w/]+?)(?:\.ts)?\]/.exec(cell)?.[1] ?? '',
    may: may === 'nothing' ? [] : may.split(', '),
  }))

  function roomOf(file: string): string | undefined {
    const inside = file.replace(/^src\//, '').replace(/\.ts$/, '')
    if (inside === 'log') return 'log'
    return rooms.map(({ room }) => room).find((room) => inside === room || inside.startsWith(`${room}/`))
  }

  function forbiddenImports(room: string, may: readonly string[]): readonly string[] {
    const own = sourceFiles('src').filter((file) => roomOf(file.path) === room)
    const targets = own.flatMap((file) => file.imports).filter((target) => target.startsWith('src/'))
    const reached = new Set(
      targets.map((target) => (roomOf(target) ?? target).replace(/^engine\/local$/, room)),
    )
    return [...reached].filter((name) => name !== room && !may.includes(name))
  }

  test('has every folder of src', () => {
    const unknown = sourceFiles('src').filter((file) => roomOf(file.path) === undefined)
    expect(unknown.map((file) => file.path)).toEqual([])
  })

  test.each(rooms.filter(({ may }) => may[0] !== 'everything'))(
    'tells what $room imports',
    ({ room, may }) => {
      expect(forbiddenImports(room, may)).toEqual([])
    },
  )

  test('would be found out when it leaves something out', () => {
    expect(forbiddenImports('reconcile', ['errors'])).toContain('bundle')
    expect(parseSource('src/crd/x.ts', `import x from '../cli/y.ts'`).imports).toEqual(['src/cli/y.ts'])
  })

  test('lists all eleven invariants, each with a test', () => {
    const invariants = tableRows(page('docs/architecture.md'), 'What must always hold')
    expect(invariants.map(([number]) => number)).toEqual(
      Array.from({ length: 11 }, (_, index) => String(index + 1)),
    )
    expect(invariants.filter((row) => !/`test\//.test(row[3] ?? ''))).toEqual([])
  })
})
