/**
 * Copies all that the preflight program needs into a folder, from where it runs in a container that has nothing: Node,
 * the few tools, the loader, their libraries, and the program itself (DESIGN §6). Runs in Fairlead's own image.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ExpectedError } from '../errors.ts'
import { runtimePaths } from '../reconcile/kubernetes/preflight-command.ts'
import { TOOLS } from './tools.ts'

/** What the program is made of, below the folder of the compiled or the TypeScript sources; a test runs just these. */
const PROGRAM = ['preflight', 'host', 'image/bytes', 'errors', 'reconcile/kubernetes/preflight-command']
const TOOL_DIRS = ['/usr/bin', '/bin']

/** `dir` is made when it is not there. Everything in it can be read and executed by any user. */
export function copyRuntime(dir: string): void {
  const paths = runtimePaths(dir)
  for (const each of [paths.libraries, paths.programs, paths.app]) makeOpen(each)
  const loader = ownLoader()
  const programs = [process.execPath, ...TOOLS.map(findTool)]
  copyOpen(loader, paths.loader)
  for (const program of programs) {
    copyOpen(program, join(paths.programs, program === process.execPath ? 'node' : basename(program)))
    for (const library of librariesOf(loader, program))
      copyOpen(library, join(paths.libraries, basename(library)))
  }
  copyProgram(paths.app)
  writeMain(dir)
}

/** The loader that started this very process. */
function ownLoader(): string {
  const { sharedObjects } = process.report.getReport() as { readonly sharedObjects: readonly string[] }
  const loader = sharedObjects.find((path) => /^ld[-.][^/]*\.so/.test(basename(path)))
  if (loader !== undefined) return realpathSync(loader)
  throw new ExpectedError(
    'RuntimeMissing',
    'no dynamic loader was found: this Node is not linked against glibc',
  )
}

/** The loader says itself what it would load: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`. */
function librariesOf(loader: string, program: string): readonly string[] {
  const listed = execFileSync(loader, ['--list', program], { encoding: 'utf8', env: {} })
  return listed.split('\n').flatMap((line) => /=> (\/\S+) \(0x/.exec(line)?.[1] ?? [])
}

function findTool(tool: string): string {
  const found = TOOL_DIRS.map((dir) => join(dir, tool)).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new ExpectedError(
    'RuntimeMissing',
    `${tool} of GNU coreutils is not in this image; it must be in ${TOOL_DIRS.join(' or ')}`,
  )
}

function copyProgram(app: string): void {
  const sources = dirname(dirname(fileURLToPath(import.meta.url)))
  for (const part of PROGRAM) {
    const from = existsSync(join(sources, part)) ? part : `${part}${ownExtension()}`
    cpSync(join(sources, from), join(app, from), { recursive: true })
  }
  for (const entry of readdirSync(app, { recursive: true, withFileTypes: true }))
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644)
}

/** The one file that is made here: it tells the program where its runtime is. */
function writeMain(dir: string): void {
  const { app, main } = runtimePaths(dir)
  // Types are only stripped, and imports only found, where Node knows that the files are modules.
  writeFileSync(join(app, 'package.json'), '{"type":"module"}\n')
  writeFileSync(
    main,
    [
      `import { preflightMain } from './preflight/main${ownExtension()}'`,
      "import { dirname } from 'node:path'",
      'const stop = new AbortController()',
      "process.once('SIGTERM', () => stop.abort())",
      'process.exitCode = await preflightMain({',
      '  env: process.env,',
      '  runtimeDir: dirname(import.meta.dirname),',
      '  reportFile: process.argv[2],',
      '  signal: stop.signal,',
      '  print: (line) => process.stdout.write(line),',
      '})',
      '',
    ].join('\n'),
  )
}

/** `.ts` in a checkout, `.js` in the package. */
function ownExtension(): string {
  return extname(fileURLToPath(import.meta.url))
}

function makeOpen(dir: string): void {
  mkdirSync(dir, { recursive: true })
  chmodSync(dir, 0o755)
}

function copyOpen(from: string, to: string): void {
  // A file that another try left may be half, or not writable.
  rmSync(to, { force: true })
  copyFileSync(from, to)
  chmodSync(to, 0o755)
}
