/** Runs one case against one tool: sets the servers up, starts the tool in a folder of its own, judges what it did. */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Authority } from './authority.ts'
import type { Case, Right } from './case.ts'
import { Stage } from './stage.ts'
import { credentialsFile } from './tools/credentials-file.ts'
import { lacking } from './tools/tool.ts'
import type { Command, Question, Tool } from './tools/tool.ts'
import { failureOf } from './verdict.ts'
import type { Outcome, Result } from './verdict.ts'

/** Longer than any client takes that gives up by itself. */
const DEADLINE_MS = 60_000
const MAX_OUTPUT_BYTES = 4 << 20
/** Go's and Node's last words. */
const CRASH =
  /^(?:panic: |fatal error: |runtime: out of memory)|\n(?:panic: |fatal error: )|\n {4}at .+:\d+:\d+\)?\n/

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  readonly isLate: boolean
}

export async function runCase(one: Case, tool: Tool, authority: Authority, folder: string): Promise<Result> {
  const lack = lacking(tool, one)
  if (lack !== undefined) return { id: one.id, verdict: 'cannot', words: lack, milliseconds: 0 }
  const started = performance.now()
  const stage = await Stage.start({ authority })
  const home = await mkdtemp(path.join(folder, 'case-'))
  try {
    const right = (await one.serve(stage)) ?? undefined
    const outcome = await ask(one, tool, stage, home, right)
    const words = failureOf(one, stage, right, outcome)
    const milliseconds = Math.round(performance.now() - started)
    return {
      id: one.id,
      verdict: words === undefined ? 'passed' : 'failed',
      words: shortened(words ?? ''),
      milliseconds,
    }
  } finally {
    await stage.stop()
    await rm(home, { recursive: true, force: true })
  }
}

/** Paths that a case made long tell nothing more. */
function shortened(words: string): string {
  return words.length > 100 ? `${words.slice(0, 97)}...` : words
}

async function ask(
  one: Case,
  tool: Tool,
  stage: Stage,
  home: string,
  right: Right | undefined,
): Promise<Outcome> {
  const setup = one.setup?.(stage) ?? {}
  const question: Question = {
    ask: one.ask,
    reference: one.reference?.(stage) ?? stage.reference(one.ask === 'tags' ? '' : ':1'),
    setup,
    artifactType: one.artifactType,
    home,
    target: path.join(home, 'pulled'),
    caFile: stage.authority.caFile,
    client: stage.authority.client,
  }
  const command = tool.command(question)
  const files = { '.docker/config.json': credentialsFile(setup.logins ?? []), ...command.files }
  await writeFiles(home, files)
  const ended = await run(command, { ...environment(home), ...setup.env, ...command.env }, home)
  const output = `${ended.stdout}\n${ended.stderr}`
  if (process.env['KIT_SHOW'] !== undefined) process.stderr.write(shown(one, command, ended, stage, right))
  if (ended.isLate) return { kind: 'hung', output }
  if (ended.signal !== null || CRASH.test(ended.stderr)) return { kind: 'crashed', output }
  if (ended.code !== 0) return { kind: 'refused', output }
  return { kind: 'brought', what: tool.read(question, ended.stdout), output }
}

/** `@FILE` is a link to that file. */
async function writeFiles(home: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(home, name)
    await mkdir(path.dirname(file), { recursive: true })
    if (text.startsWith('@')) await symlink(text.slice(1), file)
    else await writeFile(file, text, { mode: 0o600 })
  }
}

/** Nothing of the person's own settings, proxies and logins. */
function environment(home: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, TMPDIR: home, LANG: 'C.UTF-8' }
}

function run(command: Command, env: Record<string, string>, cwd: string): Promise<Ended> {
  const child = spawn(command.program, command.args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  const keep = (list: Buffer[]) => (chunk: Buffer) => {
    if (list.reduce((sum, part) => sum + part.length, 0) < MAX_OUTPUT_BYTES) list.push(chunk)
  }
  child.stdout.on('data', keep(stdout))
  child.stderr.on('data', keep(stderr))
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, DEADLINE_MS)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      const text = (list: readonly Buffer[]) => Buffer.concat(list).toString('utf8')
      resolve({ code, signal, stdout: text(stdout), stderr: text(stderr), isLate })
    })
  })
}

/** For those who write cases: what was run, said and asked. */
function shown(one: Case, command: Command, ended: Ended, stage: Stage, right: Right | undefined): string {
  const line = [command.program, ...command.args].join(' ')
  const asked = stage.asked().map((text) => `  ${text}\n`)
  const end = ended.isLate ? 'late' : (ended.signal ?? ended.code)
  return `--- ${one.id}\n$ ${line}\n${ended.stdout.slice(-1500)}${ended.stderr.slice(-1500)}end: ${end}; right: ${JSON.stringify(right)}\n${asked.join('')}`
}
