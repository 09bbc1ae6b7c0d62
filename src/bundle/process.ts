/**
 * Command, environment and working directory: the image's word, and over it the user's (rule R5; image-spec
 * conversion.md).
 */
import { ExpectedError, printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import { toBytes } from '../image/bytes.ts'
import type { ImageConfig } from '../image/types.ts'
import { locate, pathText } from './locate.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { Identity, ProcessWish } from './types.ts'

/** What Docker and Kubernetes runtimes give a process whose image names no PATH. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const PATH_PROBLEMS = {
  loop: 'is a loop of symlinks',
  'not-directory': 'leads through something that is not a directory',
  dangling: 'leads by a symlink to something that does not exist',
}

/**
 * What to execute. A `command` replaces the image's Entrypoint and drops its Cmd; `args` alone replaces Cmd. An empty
 * list means "as the image says", as in Kubernetes.
 * @throws ExpectedError CommandMissing when nothing is left to run.
 */
export function processArgs(config: ImageConfig, wish: ProcessWish): readonly string[] {
  const command = given(wish.command)
  const args = given(wish.args)
  const words =
    command === undefined ? [...config.entrypoint, ...(args ?? config.cmd)] : [...command, ...(args ?? [])]
  const nul = words.find((word) => word.includes('\0'))
  if (nul !== undefined) {
    throw new ExpectedError(
      'InvalidConfig',
      `the command holds a NUL character, which no program can be given: "${printable(nul)}"`,
      {
        path: 'spec.command',
      },
    )
  }
  if (words[0] === undefined || words[0] === '') {
    const found = words.length === 0 ? 'neither Entrypoint nor Cmd' : 'an empty first word'
    throw new ExpectedError(
      'CommandMissing',
      `there is nothing to run: image and resource together have ${found}; set spec.command`,
      { path: 'spec.command' },
    )
  }
  return words
}

/**
 * The environment as `NAME=value`: the image's verbatim (of duplicates the last value, at the first one's place),
 * then what the user sets, then PATH, HOME and HOSTNAME where nobody set them. Entries that no program could see are
 * left out; `envIssues` names them.
 */
export function processEnv(
  config: ImageConfig,
  wish: ProcessWish,
  identity: Identity,
  hostname: string,
): readonly string[] {
  const env = new Map<string, string>()
  for (const entry of config.env) {
    if (envProblem(entry) === undefined) env.set(...splitEnv(entry))
  }
  for (const { name, value } of wish.env) env.set(name, value)
  const defaults = { PATH: DEFAULT_PATH, HOME: identity.home, HOSTNAME: hostname }
  for (const [name, value] of Object.entries(defaults)) {
    if (!env.has(name)) env.set(name, value)
  }
  return [...env].map(([name, value]) => `${name}=${value}`)
}

/** One warning for each entry of the image's Env that can't be part of an environment. */
export function envIssues(config: ImageConfig): readonly Issue[] {
  return config.env.flatMap((entry, index): Issue[] => {
    const problem = envProblem(entry)
    if (problem === undefined) return []
    const message = `the image's variable "${printable(entry)}" is left out: it ${problem}`
    return [{ severity: 'warning', reason: 'InvalidConfig', path: `config.Env[${index}]`, message }]
  })
}

/** Value of a variable in a rendered environment. */
export function envValue(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1)
}

/** The working directory as written, image or user; `/` when neither names one. Nothing is checked. */
export function wantedWorkingDir(config: ImageConfig, wish: ProcessWish): string {
  return wish.workingDir ?? (config.workingDir === '' ? '/' : config.workingDir)
}

/**
 * The working directory, verbatim, checked in the container's own view. One that does not exist is fine: it is made
 * before the start.
 * @throws ExpectedError WorkingDirInvalid when it is relative, not a directory, or below /proc, where a process could
 *   step out of the container through the runtime's open files (CVE-2024-21626).
 */
export function workingDir(config: ImageConfig, wish: ProcessWish, view: FileTree): string {
  const dir = wantedWorkingDir(config, wish)
  checkWorkingDirText(dir)
  const found = locate(view, toBytes(dir))
  if ('problem' in found) {
    if (found.problem !== 'missing') throw workingDirInvalid(dir, PATH_PROBLEMS[found.problem])
    return dir
  }
  if (found.names[0] === 'proc')
    throw workingDirInvalid(dir, `leads to ${pathText(found.names)}, below /proc`)
  if (found.node.type !== 'directory')
    throw workingDirInvalid(dir, `is a ${found.node.type}, not a directory`)
  return dir
}

/**
 * What can be said without seeing the files.
 * @throws ExpectedError WorkingDirInvalid
 */
export function checkWorkingDirText(dir: string): void {
  if (!dir.startsWith('/'))
    throw workingDirInvalid(dir, 'is not absolute; write it from the root, such as /app')
  if (dir.includes('\0')) throw workingDirInvalid(dir, 'holds a NUL character')
  if (lexicalNames(dir)[0] === 'proc') throw workingDirInvalid(dir, 'is below /proc')
}

function lexicalNames(path: string): readonly string[] {
  const names: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') names.pop()
    else if (part !== '' && part !== '.') names.push(part)
  }
  return names
}

function workingDirInvalid(dir: string, problem: string): ExpectedError {
  return new ExpectedError('WorkingDirInvalid', `the working directory "${printable(dir)}" ${problem}`, {
    path: 'spec.workingDir',
  })
}

function given(words: readonly string[] | undefined): readonly string[] | undefined {
  return words === undefined || words.length === 0 ? undefined : words
}

function envProblem(entry: string): string | undefined {
  if (entry.includes('\0')) return 'holds a NUL character'
  const equals = entry.indexOf('=')
  if (equals > 0) return undefined
  return equals === 0 ? 'has no name before the "="' : 'has no "="'
}

function splitEnv(entry: string): [string, string] {
  const equals = entry.indexOf('=')
  return [entry.slice(0, equals), entry.slice(equals + 1)]
}
