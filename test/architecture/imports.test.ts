/** Who may import whom (DESIGN §3): the direction that keeps the decisions free of effects. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseSource, ROOT, sourceFiles, type SourceFile } from './source-files.ts'

interface Room {
  /** Folders and files of src that it may import, besides itself. */
  readonly mayImport: readonly string[]
  /** npm packages. */
  readonly packages?: readonly string[]
  /** No I/O, no clock, no randomness: Node's own modules only from `PURE_MODULES`. */
  readonly pure?: true
  /** How many files it has at least: a check that saw nothing proves nothing. */
  readonly filesMin: number
}

/** They compute on what they are given; `node:stream` because zlib's engines are streams. */
const PURE_MODULES = ['node:crypto', 'node:zlib', 'node:stream', 'node:path/posix']
const ENGINE = [
  'errors',
  'log',
  'reconcile',
  'bundle',
  'rootfs',
  'image',
  'crd',
  'registry',
  'host',
  'node-http',
]

const ROOMS: Readonly<Record<string, Room>> = {
  errors: { mayImport: [], pure: true, filesMin: 1 },
  host: { mayImport: ['image'], filesMin: 2 },
  'node-http': { mayImport: [], filesMin: 1 },
  log: { mayImport: ['errors'], packages: ['pino'], filesMin: 1 },
  crd: { mayImport: ['errors'], packages: ['zod', 'yaml'], pure: true, filesMin: 20 },
  image: { mayImport: ['errors'], packages: ['zod'], pure: true, filesMin: 3 },
  rootfs: { mayImport: ['errors', 'image'], pure: true, filesMin: 1 },
  bundle: { mayImport: ['errors', 'rootfs', 'image'], pure: true, filesMin: 10 },
  reconcile: { mayImport: ['errors', 'bundle', 'rootfs', 'image', 'crd'], pure: true, filesMin: 3 },
  registry: { mayImport: ['errors', 'image', 'node-http'], packages: ['p-queue'], filesMin: 1 },
  'engine/local': { mayImport: ENGINE, packages: ['p-queue', 'yaml', 'pino'], filesMin: 5 },
  'engine/kubernetes': { mayImport: ENGINE, packages: ['@kubernetes/client-node', 'pino'], filesMin: 1 },
  preflight: {
    mayImport: ['errors', 'reconcile', 'image', 'host'],
    filesMin: 3,
  },
  controller: {
    mayImport: ['errors', 'log', 'reconcile', 'crd', 'image', 'node-http'],
    packages: ['p-queue', 'pino'],
    filesMin: 3,
  },
}

/** Command line and composition root: they put the rest together. */
const FREE_ROOMS = ['cli', 'main']

const files = sourceFiles('src')

function roomOf(file: string): string {
  const inside = file.replace(/^src\//, '').replace(/\.ts$/, '')
  const rooms = [...Object.keys(ROOMS), ...FREE_ROOMS]
  return rooms.find((room) => inside === room || inside.startsWith(`${room}/`)) ?? `none (${inside})`
}

function violations(file: SourceFile): readonly string[] {
  const name = roomOf(file.path)
  const room = ROOMS[name]
  if (room === undefined)
    return FREE_ROOMS.includes(name) ? [] : [`${file.path} belongs to no room of the table`]
  return file.imports
    .filter((target) => !isAllowed(target, name, room))
    .map((target) => `${file.path} imports ${target}`)
}

function isAllowed(target: string, name: string, room: Room): boolean {
  if (target.startsWith('node:')) return room.pure !== true || PURE_MODULES.includes(target)
  if (!target.startsWith('src/')) return (room.packages ?? []).includes(packageName(target))
  const targetRoom = roomOf(target)
  return targetRoom === name || room.mayImport.includes(targetRoom)
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function isBuilt(room: string): boolean {
  return existsSync(path.join(ROOT, 'src', room)) || existsSync(path.join(ROOT, 'src', `${room}.ts`))
}

/** What is loaded when it is first used may use whoever loads it: a command, the tree of all commands. */
function withoutLoading({ path: file, code }: SourceFile): SourceFile {
  return parseSource(file, code.replaceAll(/\bimport\s*\(/g, 'load('))
}

/** A way from a file back to itself; undefined when there is none. Imports of types count as well. */
function circle(all: readonly Pick<SourceFile, 'path' | 'imports'>[]): readonly string[] | undefined {
  const importsOf = new Map(all.map((file) => [file.path, file.imports]))
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const target of importsOf.get(file) ?? []) {
      const found = visit(target, [...way, file])
      if (found !== undefined) return found
    }
    done.add(file)
    return undefined
  }
  for (const { path: file } of all) {
    const found = visit(file, [])
    if (found !== undefined) return found
  }
  return undefined
}

describe('imports', () => {
  test.each(Object.entries(ROOMS).filter(([name]) => isBuilt(name)))(
    'sees the files of src/%s',
    (name, room) => {
      expect(files.filter((file) => roomOf(file.path) === name).length).toBeGreaterThanOrEqual(room.filesMin)
    },
  )

  test('finds imports at all', () => {
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(200)
  })

  test('follow the table', () => {
    expect(files.flatMap(violations)).toEqual([])
  })

  test('go in no circle', () => {
    expect(circle(files.map(withoutLoading))).toBeUndefined()
    const looped = [
      { path: 'src/a.ts', imports: ['src/b.ts'] },
      { path: 'src/b.ts', imports: ['src/c.ts'] },
      { path: 'src/c.ts', imports: ['node:fs', 'src/b.ts'] },
    ]
    expect(circle(looped)).toEqual(['src/b.ts', 'src/c.ts', 'src/b.ts'])
  })

  test('take nothing but types from node:http: what else it brings costs each process megabytes', () => {
    const values = /^import (?!type\b)[^'";]*from 'node:http'/m
    expect(values.test(`import {\n  Agent,\n} from 'node:http'`)).toBe(true)
    expect(files.filter(({ code }) => values.test(code)).map((file) => file.path)).toEqual([])
  })

  test.each([
    ['src/reconcile/plan.ts', `import { readFileSync } from 'node:fs'`, 'node:fs'],
    ['src/reconcile/plan.ts', `import type { Stats } from 'node:fs'`, 'node:fs'],
    ['src/crd/app.ts', `import {\n  a,\n  b,\n} from '../image/types.ts'`, 'src/image/types.ts'],
    ['src/image/a.ts', `export { x } from '../registry/x.ts'`, 'src/registry/x.ts'],
    ['src/image/a.ts', `const x = await import('../registry/x.ts')`, 'src/registry/x.ts'],
    ['src/bundle/a.ts', `const fs = require('node:fs')`, 'node:fs'],
    ['src/bundle/a.ts', `import 'pino'`, 'pino'],
    ['src/engine/kubernetes/a.ts', `import { b } from '../local/b.ts'`, 'src/engine/local/b.ts'],
    ['src/controller/a.ts', `import { b } from '../engine/local/b.ts'`, 'src/engine/local/b.ts'],
    ['src/registry/a.ts', `/* why */ import { b } from '../rootfs/b.ts'`, 'src/rootfs/b.ts'],
  ])('would see in %s: %s', (file, text, target) => {
    expect(violations(parseSource(file, text))).toEqual([`${file} imports ${target}`])
  })

  test.each([
    ['src/reconcile/plan.ts', `// import { readFileSync } from 'node:fs'`],
    ['src/reconcile/plan.ts', `/**\n * import x from 'node:fs'\n */`],
    ['src/image/a.ts', `import { createHash } from 'node:crypto'`],
  ])('would let pass in %s: %s', (file, text) => {
    expect(violations(parseSource(file, text))).toEqual([])
  })
})
