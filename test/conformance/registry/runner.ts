/** Runs cases against a tool in several workers, each in a network of its own; most cases only wait. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeAuthority } from './authority.ts'
import type { Case } from './case.ts'
import { isolated } from './network.ts'
import { LATE } from './verdict.ts'
import type { Result } from './verdict.ts'
import type { Order, Report } from './worker.ts'

const WORKERS = 8
/** Cases in which some tools wait for as long as they are let: they go first, so that nobody waits for them at the end. */
const LONG = /^(?:T6-|T4-loop|T10-far|L1-loop|L1-endless|F4-|B4-size|M7-)/

export interface RunOptions {
  /** By name, or a command with `{ref}`. */
  readonly tool: string
  readonly onResult?: (result: Result) => void
}

/** Results in the order of the cases. Rejects when a worker cannot be started or breaks. */
export async function runCases(cases: readonly Case[], options: RunOptions): Promise<readonly Result[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'registry-kit-'))
  try {
    makeAuthority(folder)
    const results = new Map<string, Result>()
    await runAll(folder, cases, options, results)
    // On a busy machine a tool may be late through no fault of its own: it gets a second chance.
    const late = cases.filter(({ id }) => results.get(id)?.words === LATE)
    if (late.length > 0 && late.length < cases.length) await runAll(folder, late, options, results)
    return cases.flatMap(({ id }) => results.get(id) ?? [])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runAll(
  folder: string,
  cases: readonly Case[],
  options: RunOptions,
  results: Map<string, Result>,
): Promise<void> {
  const left = [...cases].sort((a, b) => Number(LONG.test(b.id)) - Number(LONG.test(a.id)))
  const next = (): Case | undefined => left.shift()
  const note = (result: Result) => {
    results.set(result.id, result)
    options.onResult?.(result)
  }
  const count = Math.min(WORKERS, cases.length)
  await Promise.all(Array.from({ length: count }, () => runWorker(folder, options.tool, next, note)))
}

function runWorker(
  folder: string,
  tool: string,
  next: () => Case | undefined,
  note: (result: Result) => void,
): Promise<void> {
  const [program = '', ...words] = isolated()
  const script = path.join(import.meta.dirname, 'worker.ts')
  const child = spawn(program, [...words, process.execPath, script, folder, tool], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return new Promise((resolve, reject) => {
    child.on('message', (report: Report) => {
      if (report.result !== undefined) note(report.result)
      const one = next()
      order(child, one === undefined ? { end: true } : { id: one.id })
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else
        reject(
          new Error(`a worker ended with ${String(code ?? signal)}; namespaces need root or user namespaces`),
        )
    })
  })
}

function order(child: ChildProcess, message: Order): void {
  child.send(message)
}
